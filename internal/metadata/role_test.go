package metadata

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"popup/internal/machine"
)

func TestKeys(t *testing.T) {
	until := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c := serve(t, imds(t, machine.MetadataConfig{Role: &machine.MetadataRole{Name: "popup-fair",
		Keys: func() (string, string, string, time.Time) { return "AKID", "secret", "session", until }}}))
	if keys, err := c.Keys(t.Context()); err != nil || keys != (Keys{"AKID", "secret", "session", until}) {
		t.Errorf("they are %+v, %v", keys, err)
	}
	if _, err := serve(t, imds(t, machine.MetadataConfig{})).Keys(t.Context()); !errors.Is(err, ErrNone) {
		t.Errorf("without a role: %v", err)
	}
}

func TestKeysRefuse(t *testing.T) {
	for name, tc := range map[string]struct{ role, keys, want string }{
		"no name":        {"\n", "", "for its role: the instance metadata service has none"},
		"an odd name":    {"../token", "", "its answer is no role's name"},
		"a page":         {"<html>", "", "its answer is no role's name"},
		"not JSON":       {"fair", "hush", "the keys of the role fair: its answer is not JSON"},
		"nothing":        {"fair", "{}", "the keys of the role fair: there are none"},
		"a failure":      {"fair", `{"Code":"AssumeRoleUnauthorizedAccess","SecretAccessKey":"hush"}`, `there are none ("AssumeRoleUnauthorizedAccess"); the role must be there`},
		"no success":     {"fair", `{"Code":"Failed","AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"2026-05-01T12:00:00Z"}`, `there are none ("Failed")`},
		"half of it":     {"fair", `{"Code":"Success","AccessKeyId":"A","Expiration":"2026-05-01T12:00:00Z"}`, "there are none"},
		"without an end": {"fair", `{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"hush"}`, "there are none"},
	} {
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				_, _ = w.Write([]byte("token"))
			case strings.HasSuffix(r.URL.Path, "/"):
				_, _ = w.Write([]byte(tc.role))
			default:
				_, _ = w.Write([]byte(tc.keys))
			}
		}))
		if keys, err := c.Keys(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %+v, %v; want %q", name, keys, err, tc.want)
		}
	}
}
