package wire

import (
	"strings"
	"testing"
)

func TestStateCheck(t *testing.T) {
	const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	for _, good := range []State{
		{}, {Vault: "/srv/vault"}, {Vault: VaultConsole}, {Vault: VaultConsole, Recipient: recipient}, {Recipient: recipient},
		{Vault: "s3://fair/x/", Recipient: recipient, Endpoint: "https://s3.example.org", Region: "x", CredentialsFile: "/etc/keys"},
	} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, c := range []struct {
		state State
		want  string
	}{
		{State{Vault: "s3://fair/x/"}, "name with state.recipient whom they are encrypted to"},
		{State{Vault: "https://fair.example.org/x/"}, "is neither a folder, nor console:, nor a bucket"},
		{State{Vault: "/srv", Region: "x"}, "are for a bucket"},
		{State{Recipient: "me@example.org"}, `"me@example.org" is none of age's`},
		{State{Recipient: recipient + "\n" + recipient}, "is none of age's"},
	} {
		if err := c.state.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.state, err)
		}
	}
}
