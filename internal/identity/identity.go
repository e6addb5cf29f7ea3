// Package identity says which machine somebody speaks for, by what the machine's
// cloud signed: an EC2 instance identity document and its RSA-2048 signature.
package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"popup/internal/wire"
)

// The most bytes of a proof that are looked at: several times what a cloud makes.
const (
	maxDocument  = 16 << 10
	maxSignature = 24 << 10
)

// A Document is what a cloud says about one of its machines.
type Document struct {
	InstanceID   string `json:"instanceId"`
	Region       string `json:"region"`
	Zone         string `json:"availabilityZone"`
	AccountID    string `json:"accountId"`
	ImageID      string `json:"imageId"`
	InstanceType string `json:"instanceType"`
	Architecture string `json:"architecture"` // as the cloud names it: x86_64, arm64
	PrivateIP    string `json:"privateIp"`
	// PendingTime is when the machine was started last; zero where that is not said.
	PendingTime time.Time `json:"-"`
}

// A Verifier knows whose signatures count. It may be used by several goroutines at once.
type Verifier struct {
	certificates []certificate
	now          func() time.Time
}

// Open returns a Verifier that knows Amazon's certificates, and those of the *.pem
// files in certsDir, which vouch for any region. Empty: no others. The error names
// every file that is not as it should be.
func Open(certsDir string) (*Verifier, error) {
	v := &Verifier{now: time.Now}
	amazons, err := parseAmazons(amazonsFile)
	if err != nil {
		return nil, err
	}
	v.certificates = amazons
	if certsDir == "" {
		return v, nil
	}
	added, err := readFolder(certsDir, v.now())
	if err != nil {
		return nil, err
	}
	v.certificates = append(v.certificates, added...)
	return v, nil
}

var (
	instanceForm = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)
	regionForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// Verify returns what the proof says, once a known certificate vouches for every
// byte of it. It does not say that the machine is the one that was launched, nor
// whether the proof was shown before: who asks knows that.
func (v *Verifier) Verify(proof wire.Identity) (Document, error) {
	if proof.Kind != wire.IdentityEC2 {
		return Document{}, fmt.Errorf("verify the machine's identity: it is of the kind %.40q, and only %q is known", proof.Kind, wire.IdentityEC2)
	}
	document, err := v.verify(proof)
	if err != nil {
		return Document{}, fmt.Errorf("verify the machine's identity: %w", err)
	}
	return document, nil
}

func (v *Verifier) verify(proof wire.Identity) (Document, error) {
	if len(proof.Document) > maxDocument || len(proof.Signature) > maxSignature {
		return Document{}, fmt.Errorf("it is larger than any cloud makes one: at most %d bytes and %d of signature are read", maxDocument, maxSignature)
	}
	message, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(proof.Signature)), ""))
	if err != nil {
		return Document{}, errors.New("the signature is not base64; it is what the metadata service says at instance-identity/rsa2048")
	}
	by, err := v.signer(message, proof.Document)
	if err != nil {
		return Document{}, err
	}
	var says struct {
		Document
		Pending string `json:"pendingTime"`
	}
	if err := json.Unmarshal(proof.Document, &says); err != nil {
		return Document{}, errors.New("the document is not the JSON of an instance identity document")
	}
	d := says.Document
	if at, err := time.Parse(time.RFC3339, says.Pending); err == nil {
		d.PendingTime = at
	}
	switch {
	case !instanceForm.MatchString(d.InstanceID):
		return Document{}, fmt.Errorf("the document names no instance: %.40q", d.InstanceID)
	case !regionForm.MatchString(d.Region):
		return Document{}, fmt.Errorf("the document names no region: %.40q", d.Region)
	case by.region != "" && by.region != d.Region:
		return Document{}, fmt.Errorf("the document is of the region %s, and signed by that of %s", d.Region, by.region)
	}
	return d, nil
}

// signer is the known certificate that signed the document.
func (v *Verifier) signer(message, document []byte) (certificate, error) {
	signed, err := parseSigned(message)
	if err != nil {
		return certificate{}, fmt.Errorf("the signature is not a PKCS #7 message as clouds write it: %w", err)
	}
	now, known := v.now(), false
	for _, c := range v.certificates {
		if !signed.names(c.Certificate) || now.Before(c.NotBefore) || now.After(c.NotAfter) {
			continue
		}
		known = true
		if signed.check(c.Certificate, document) == nil {
			return c, nil
		}
	}
	if !known {
		return certificate{}, errors.New("it is signed with a certificate that is not known here, or does not hold now; " +
			"for a cloud or region that is not among Amazon's known ones, put its certificate into the folder of --identity-certs")
	}
	return certificate{}, errors.New("the signature is not one of this document")
}
