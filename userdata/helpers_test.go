package userdata

import (
	"strings"
	"testing"

	"popup/apps"
	"popup/internal/wire"
)

// notice is a plan for the plainest shipped app.
func notice(t *testing.T) wire.Plan {
	t.Helper()
	loaded, err := apps.LoadShipped("notice")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(loaded, Overrides{
		Origin: Origin{Shipped: "notice"},
		Data:   "https://github.com/example/village-notices#main",
		Until:  "2026-05-31", Now: day("2026-05-01"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// binary pins popup for both architectures.
func binary() Binary {
	return Binary{
		URLs: []string{"https://github.com/example/popup/releases/download/v0.1.0/popup-linux-{arch}"},
		SHA256: map[string]string{
			"amd64": strings.Repeat("0123456789abcdef", 4),
			"arm64": strings.Repeat("fedcba9876543210", 4),
		},
	}
}

// wantError fails unless err holds every one of parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
