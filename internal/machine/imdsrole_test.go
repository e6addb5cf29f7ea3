package machine

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

func TestIMDSRole(t *testing.T) {
	until := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	secret := "first"
	m := testIMDS(t, MetadataConfig{AllowV1: true, Role: &MetadataRole{Name: "popup-fair",
		Keys: func() (string, string, string, time.Time) { return "AKID", secret, "session", until }}})
	const at = "/latest/meta-data/iam/security-credentials/"
	if status, text := ask(m, http.MethodGet, at); status != http.StatusOK || text != "popup-fair" {
		t.Errorf("the role is %d %q", status, text)
	}
	for _, secret = range []string{"first", "second"} {
		var keys struct{ Code, AccessKeyID, SecretAccessKey, Token, Expiration string }
		status, text := ask(m, http.MethodGet, at+"popup-fair")
		if err := json.Unmarshal([]byte(text), &keys); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		if keys.Code != "Success" || keys.AccessKeyID != "AKID" || keys.SecretAccessKey != secret || keys.Token != "session" || keys.Expiration != "2026-05-01T12:00:00Z" {
			t.Errorf("its keys are %+v", keys)
		}
	}
	if status, _ := ask(m, http.MethodGet, at+"another"); status != http.StatusNotFound {
		t.Errorf("another role: %d", status)
	}
	if status, _ := ask(testIMDS(t, MetadataConfig{AllowV1: true}), http.MethodGet, at); status != http.StatusNotFound {
		t.Errorf("of an instance without a role: %d", status)
	}
}
