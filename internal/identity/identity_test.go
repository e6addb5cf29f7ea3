package identity

import (
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/machine"
	"popup/internal/wire"
)

const instance = "i-0123456789abcdef0"

var made atomic.Int64

// A cloud signs what its machines show.
type cloud struct{ *machine.IdentitySigner }

func newCloud(t testing.TB) cloud {
	t.Helper()
	made.Add(1) // what was made in the same second has the same serial number
	signer, err := machine.NewIdentitySigner(time.Now().Add(-time.Duration(made.Load()) * time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return cloud{signer}
}

// proof is what the metadata service of a machine says.
func (c cloud) proof(t testing.TB) wire.Identity {
	t.Helper()
	imds, err := machine.NewIMDS(machine.MetadataConfig{InstanceID: instance, Region: "eu-central-1", ImageID: "ami-0123456789abcdef0",
		AccountID: "123456789012", Signer: c.IdentitySigner, AllowV1: true, LaunchTime: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) []byte {
		w := httptest.NewRecorder()
		imds.ServeHTTP(w, httptest.NewRequest("GET", "/latest/dynamic/instance-identity/"+name, nil))
		return w.Body.Bytes()
	}
	return wire.Identity{Kind: wire.IdentityEC2, Document: ask("document"), Signature: ask("rsa2048")}
}

// verifier knows the cloud's certificate for a region; empty: for any.
func (c cloud) verifier(region string) *Verifier {
	return &Verifier{certificates: []certificate{{c.Certificate(), region}}, now: time.Now}
}

func TestVerify(t *testing.T) {
	c := newCloud(t)
	proof := c.proof(t)
	for _, region := range []string{"", "eu-central-1"} {
		d, err := c.verifier(region).Verify(proof)
		if err != nil {
			t.Fatal(err)
		}
		if d.InstanceID != instance || d.Region != "eu-central-1" || d.Zone != "eu-central-1a" || d.AccountID != "123456789012" ||
			d.ImageID != "ami-0123456789abcdef0" || d.Architecture == "" || d.PrivateIP == "" || d.InstanceType == "" ||
			!d.PendingTime.Equal(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("it says %+v", d)
		}
	}
}

// sign is a proof of any document.
func (c cloud) sign(t testing.TB, document string) wire.Identity {
	t.Helper()
	envelope, err := c.Envelope([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return wire.Identity{Kind: wire.IdentityEC2, Document: []byte(document), Signature: []byte(base64.StdEncoding.EncodeToString(envelope))}
}

func TestVerifyRefuses(t *testing.T) {
	c, other := newCloud(t), newCloud(t)
	good := c.proof(t)
	with := func(change func(*wire.Identity)) wire.Identity {
		p := wire.Identity{Kind: good.Kind, Document: []byte(string(good.Document)), Signature: []byte(string(good.Signature))}
		change(&p)
		return p
	}
	late := c.verifier("")
	late.now = func() time.Time { return time.Now().AddDate(11, 0, 0) }
	early := c.verifier("")
	early.now = func() time.Time { return time.Now().AddDate(-1, 0, 0) }
	amazons, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		v     *Verifier
		proof wire.Identity
		want  string
	}{
		"no proof":              {c.verifier(""), wire.Identity{}, `it is of the kind "", and only "ec2" is known`},
		"another kind":          {c.verifier(""), with(func(p *wire.Identity) { p.Kind = "tpm" }), `it is of the kind "tpm"`},
		"another's document":    {c.verifier(""), with(func(p *wire.Identity) { p.Document = other.sign(t, "{}").Document }), "not one of this document"},
		"a changed document":    {c.verifier(""), with(func(p *wire.Identity) { p.Document[20] ^= 1 }), "not one of this document"},
		"a longer document":     {c.verifier(""), with(func(p *wire.Identity) { p.Document = append(p.Document, '\n') }), "not one of this document"},
		"another's signature":   {c.verifier(""), with(func(p *wire.Identity) { p.Signature = other.proof(t).Signature }), "a certificate that is not known here"},
		"a stranger's own":      {c.verifier(""), other.proof(t), "put its certificate into the folder of --identity-certs"},
		"a test's, on Amazon":   {amazons, good, "a certificate that is not known here"},
		"another region":        {c.verifier("us-east-1"), good, "the document is of the region eu-central-1, and signed by that of us-east-1"},
		"after its end":         {late, good, "does not hold now"},
		"before its time":       {early, good, "does not hold now"},
		"not base64":            {c.verifier(""), with(func(p *wire.Identity) { p.Signature = []byte("-----BEGIN") }), "the signature is not base64"},
		"not PKCS #7":           {c.verifier(""), with(func(p *wire.Identity) { p.Signature = []byte("AAAA") }), "not a PKCS #7 message"},
		"no signature":          {c.verifier(""), with(func(p *wire.Identity) { p.Signature = nil }), "not a PKCS #7 message"},
		"a large document":      {c.verifier(""), with(func(p *wire.Identity) { p.Document = make([]byte, maxDocument+1) }), "larger than any cloud makes one"},
		"a large signature":     {c.verifier(""), with(func(p *wire.Identity) { p.Signature = make([]byte, maxSignature+1) }), "larger than any cloud makes one"},
		"not a document":        {c.verifier(""), c.sign(t, "hello"), "not the JSON of an instance identity document"},
		"of no instance":        {c.verifier(""), c.sign(t, `{"region":"us-east-1"}`), `the document names no instance: ""`},
		"of an odd instance":    {c.verifier(""), c.sign(t, `{"instanceId":"../i-01234567","region":"us-east-1"}`), "the document names no instance"},
		"of no region":          {c.verifier(""), c.sign(t, `{"instanceId":"i-01234567"}`), "the document names no region"},
		"with bytes behind it":  {c.verifier(""), with(func(p *wire.Identity) { p.Signature = append(decoded(t, *p), 0, 0); encode(p) }), "not a PKCS #7 message"},
		"with half a signature": {c.verifier(""), with(func(p *wire.Identity) { p.Signature = decoded(t, *p)[:900]; encode(p) }), "it ends before it should"},
	} {
		if d, err := tc.v.Verify(tc.proof); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v; want %q", name, d, err, tc.want)
		}
	}
}

func decoded(t testing.TB, p wire.Identity) []byte {
	t.Helper()
	message, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(p.Signature), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func encode(p *wire.Identity) {
	p.Signature = []byte(base64.StdEncoding.EncodeToString(p.Signature))
}

// TestVerifyEveryByteCounts: no bit of what is signed, of the signature or of who
// made it can be another.
func TestVerifyEveryByteCounts(t *testing.T) {
	c := newCloud(t)
	good := c.proof(t)
	message := decoded(t, good)
	certificate := len(c.Certificate().Raw)
	from := strings.Index(string(message), string(c.Certificate().Raw))
	taken := 0
	for i := range message {
		if i >= from && i < from+certificate {
			continue // who wrote the message put it there: it is not looked at
		}
		changed := []byte(string(message))
		changed[i] ^= 0x10
		p := wire.Identity{Kind: good.Kind, Document: good.Document, Signature: changed}
		encode(&p)
		if d, err := c.verifier("").Verify(p); err == nil {
			taken++
			if d.InstanceID != instance {
				t.Errorf("with byte %d changed it says %+v", i, d)
			}
		}
	}
	// Versions, the outer list of digests and parameters say nothing that counts.
	if taken > 40 {
		t.Errorf("%d bytes can be others", taken)
	}
	for i := range good.Document {
		p := wire.Identity{Kind: good.Kind, Document: []byte(string(good.Document)), Signature: good.Signature}
		p.Document[i] ^= 1
		if _, err := c.verifier("").Verify(p); err == nil {
			t.Errorf("byte %d of the document can be another", i)
		}
	}
}

func FuzzVerify(f *testing.F) {
	c := newCloud(f)
	good := c.proof(f)
	message := decoded(f, good)
	f.Add(good.Document, message)
	f.Add(good.Document, message[:100])
	f.Add(good.Document, []byte{0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 0x41, 0, 0, 0, 0})
	f.Add([]byte("{}"), []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	v := c.verifier("")
	f.Fuzz(func(t *testing.T, document, signature []byte) {
		p := wire.Identity{Kind: wire.IdentityEC2, Document: document, Signature: signature}
		encode(&p)
		if _, err := v.Verify(p); err == nil && string(document) != string(good.Document) {
			t.Errorf("%q was taken", document)
		}
	})
}
