package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"popup/datasync"
	"popup/launcher"
)

// TestStatusTellsAll: what is held, refused and ended is in the text as well.
func TestStatusTellsAll(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	err := printStatus(&out, launcher.Status{
		App: "board", Live: true, Why: "this instance is over; launch another one",
		Console: &launcher.ConsoleStatus{URL: "https://console.example.org", Enrolled: at, LastReport: at, NextReport: at, Error: "report: no answer", Generation: 7, Unmet: "a\nb"},
		End:     &launcher.EndStatus{At: at, Step: "over", Reason: "It ended on 1 May.", Detail: "the clock is not confirmed", Archive: "board.tar.zst"},
		Service: &datasync.Status{Serving: "aaa", Wanted: "bbb", ErrorClass: "dns", LastError: "no such host",
			Refused: []datasync.Refusal{{Revision: "bbb", At: at, Why: "it ended:\n\nlocked\n"}}},
		Data: &datasync.Status{Serving: "one", Wanted: "one", Held: "one", NextTry: at, Confirmed: at, Age: 125, Requests: 12, BytesIn: 3686, BytesOut: 4,
			Via: "origin", RelayError: "the relay is behind"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"health over",
		"service wanted bbb",
		"service refused bbb at 2026-05-01T12:00:00Z: it ended: / locked",
		"service sync dns: no such host",
		"service polls never by itself; 0 requests, 0 bytes in, 0 bytes out",
		"data held one; popup rollback data --release lets it go forward again",
		"data relay the relay is behind",
		"data polls next 2026-05-01T12:00:00Z; found to be the newest 2m5s ago; 12 requests, 3.5 KiB in, 4 bytes out",
		"end 2026-05-01T12:00:00Z (over); It ended on 1 May.; the clock is not confirmed",
		"archive board.tar.zst",
		"console https://console.example.org; enrolled; last report 2026-05-01T12:00:00Z; report: no answer; next 2026-05-01T12:00:00Z",
		"console wants generation 7, which does not hold: a / b",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(text, "data wanted") {
		t.Errorf("it says that more is wanted than is served:\n%s", out.String())
	}
}

// TestUnknownVerb is a mistake in how popup is called.
func TestUnknownVerb(t *testing.T) {
	for args, want := range map[string]string{
		"stauts":        `popup: there is no verb "stauts"; did you mean state, or status? popup --help lists all verbs`,
		"roll":          "did you mean rollback?",
		"frobnicate":    `there is no verb "frobnicate"; popup --help lists all verbs`,
		"sync now":      "popup sync --help shows how it is called",
		"status --jsn":  "popup status --help lists what it takes",
		"sync --root":   "popup sync --help lists what it takes",
		"stauts --json": "popup --help",
	} {
		var out, diag bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &out, &diag); code != exitUsage || out.Len() > 0 || !strings.Contains(diag.String(), want) {
			t.Errorf("popup %s: exit %d, prints %q, says %q; want %d and %q", args, code, &out, &diag, exitUsage, want)
		}
	}
}
