package wire

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"
)

func TestCheckConsole(t *testing.T) {
	const token, pin = "abcdefgh_ABCDEFGH-0123", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for name, c := range map[string]struct {
		console Console
		want    string // in the error; empty: it is right
	}{
		"all of it":         {Console{URL: "https://console.example.org/popup/", Token: token, Pin: pin}, ""},
		"this machine":      {Console{URL: "http://127.0.0.1:8080"}, ""},
		"this machine's v6": {Console{URL: "http://[::1]:8080"}, ""},
		"nothing":           {Console{}, "is no web address"},
		"a word":            {Console{URL: "console"}, "is no web address"},
		"a port alone":      {Console{URL: "https://:443"}, "is no web address"},
		"a file":            {Console{URL: "file:///etc"}, "is no web address"},
		"in the open":       {Console{URL: "http://console.example.org"}, "console.url http://console.example.org is not https"},
		"a password":        {Console{URL: "https://me:hush@example.org"}, "has a password"},
		"a query":           {Console{URL: "https://example.org/?token=hush"}, "a query"},
		"an empty query":    {Console{URL: "https://example.org/?"}, "a query"},
		"a short token":     {Console{URL: "https://example.org", Token: "hush"}, "console.token"},
		"a line more":       {Console{URL: "https://example.org", Token: token + "\nhush"}, "console.token"},
		"an identity":       {Console{URL: "https://example.org", Identity: IdentityEC2}, ""},
		"another identity":  {Console{URL: "https://example.org", Identity: "tpm"}, `console.identity is "tpm", a proof that this popup cannot bring; it knows "ec2"`},
		"half a pin":        {Console{URL: "https://example.org", Pin: pin[:20]}, "console.pin"},
	} {
		err := c.console.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
	if got := (Console{URL: "https://example.org/popup/"}).At(PathReport); got != "https://example.org/popup/api/v1/report" {
		t.Errorf("the report goes to %s", got)
	}
}

// TestSignatureIsOverAllOfIt: nothing of a request can be changed, nor moved from
// one part to the next.
func TestSignatureIsOverAllOfIt(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := Signed{"POST", PathReport, "fair-7", []byte("{}"), nil}
	signature := s.Sign(private)
	if !s.VerifiedBy(public, signature) {
		t.Error("it is not its own")
	}
	for name, changed := range map[string]Signed{
		"method": {"PUT", PathReport, "fair-7", s.Body, nil}, "path": {"POST", PathEnrol, "fair-7", s.Body, nil}, "instance": {"POST", PathReport, "fair-8", s.Body, nil},
		"body": {"POST", PathReport, "fair-7", []byte("{} "), nil}, "moved": {"POST/", PathReport[1:], "fair-7", s.Body, nil}, "moved on": {"POST", PathReport + "f", "air-7", s.Body, nil},
	} {
		if changed.VerifiedBy(public, signature) {
			t.Errorf("another %s has the same signature", name)
		}
	}
	for name, wrong := range map[string]struct {
		key       ed25519.PublicKey
		signature string
	}{"another key": {other, signature}, "no key": {nil, signature}, "half a key": {public[:16], signature}, "no signature": {public, ""}, "half": {public, signature[:44]},
		"garbage": {public, "~"}} {
		if s.VerifiedBy(wrong.key, wrong.signature) {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestPeriodHasBounds(t *testing.T) {
	for seconds, want := range map[int]time.Duration{0: DefaultPeriod, 30: 30 * time.Second, 1: LeastPeriod, -1: LeastPeriod, 1 << 62: MostPeriod, -1 << 62: LeastPeriod} {
		if got := Period(seconds); got != want {
			t.Errorf("Period(%d) = %s, want %s", seconds, got, want)
		}
	}
}

func TestCheckEnrolment(t *testing.T) {
	good := Enrolment{Version: 1, Instance: "fair-7", Token: "abcdefgh_ABCDEFGH-0123", Key: make([]byte, 32)}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	bad := Enrolment{Instance: "../x", Token: "x"}
	if err := bad.Check(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not everything that is wrong: %v", err)
	}
}

// FuzzParseAnswer: whatever a console says, an instance asks again in good time and
// puts no id into a path that is not one.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{"", "null", "[]", `{"next": -1}`, `{"next": 1e99}`, `{"commands": [{"id": "../x", "verb": "end"}, {"id": "a", "verb": "sync"}]}`,
		`{"wanted": {"generation": 3, "end": {"at": "2026-05-31"}, "more": {}}}`, "{\"commands\": [" + strings.Repeat(`{"id":"a"},`, 50) + `{"id":"b"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ParseAnswer(body)
		if err != nil {
			return
		}
		if next := Period(a.Next); next < LeastPeriod || next > MostPeriod || a.Next != 0 && next != time.Duration(a.Next)*time.Second || len(a.Commands) > mostCommands {
			t.Errorf("next in %s, %d commands", next, len(a.Commands))
		}
		for _, c := range a.Commands {
			if strings.ContainsAny(c.ID, "/.\\%?#\n") || c.ID == "" {
				t.Errorf("command %q", c.ID)
			}
		}
	})
}

// FuzzParseEnrolled: no error tells what a console said, which may be secret.
func FuzzParseEnrolled(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"secrets": {"PASSWORD": "hush"}, "report_every": 1}`, `{"secrets": "hush"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEnrolled(body)
		if err != nil && len(body) <= MaxEnrolled && err.Error() != "read the enrolment: it is not the JSON of a console" {
			t.Errorf("error %v", err)
		}
		if err == nil && Period(e.ReportEvery) < LeastPeriod {
			t.Errorf("it reports every %d s", e.ReportEvery)
		}
	})
}
