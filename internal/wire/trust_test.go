package wire

import (
	"strings"
	"testing"
)

const signer = "anna@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM7WJbCEXvaGJGg6o6y5DiYtkuJm5XgmfWoE07UXtpLB"

func TestCheckTrust(t *testing.T) {
	for name, test := range map[string]struct {
		source Source
		want   []string // in the error; none: it is right
	}{
		"nothing":        {Source{}, nil},
		"all of it":      {Source{Verify: &Verify{"# who\n" + signer + "\n"}, Rewind: "refuse", Relay: "https://relay.example.org/notices"}, nil},
		"said twice":     {Source{Rewind: "allow", Relay: "http://127.0.0.1:8080"}, nil},
		"nobody":         {Source{Verify: &Verify{}}, []string{"nobody among the allowed signers"}},
		"a wrong line":   {Source{Verify: &Verify{signer + "\nbert\n"}}, []string{"verify.allowed_signers: line 2: "}},
		"a wrong word":   {Source{Rewind: "never"}, []string{`rewind is "never", and must be allow or refuse`}},
		"a folder":       {Source{Relay: "/srv/relay"}, []string{"no web address"}},
		"another scheme": {Source{Relay: "ftp://example.org/"}, []string{"no web address"}},
		"a password":     {Source{Relay: "https://me:secret@example.org/"}, []string{"has a password"}},
		"a query":        {Source{Relay: "https://example.org/?token=secret"}, []string{"a query"}},
		"all wrong":      {Source{Verify: &Verify{"x"}, Rewind: "x", Relay: "x"}, []string{"line 1", "rewind", "relay"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.source.CheckTrust()
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}
