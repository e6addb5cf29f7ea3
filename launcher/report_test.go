package launcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

// TestReportsComeInTurn: each instance of a fleet in its own moment of the period,
// whenever it was started.
func TestReportsComeInTurn(t *testing.T) {
	const period = 30 * time.Second
	now := time.Date(2026, 5, 1, 12, 0, 7, 0, time.UTC)
	moments := make([]int, 10)
	for i := range 2000 {
		id := fmt.Sprintf("fair-%d", i)
		wait := untilTurn(id, now, period)
		if wait < period/2 || wait >= period*3/2 {
			t.Fatalf("%s waits %s", id, wait)
		}
		at := now.Add(wait)
		if again := untilTurn(id, at.Add(time.Millisecond), period); again > period || again < period-10*time.Millisecond {
			t.Fatalf("%s then waits %s", id, again)
		}
		moments[int(time.Duration(at.UnixNano())%period*10/period)]++
	}
	for _, n := range moments {
		if n < 120 || n > 280 { // of 200
			t.Errorf("they come unevenly: %v", moments)
		}
	}
}

// TestReportIsBounded, whatever there is to be told.
func TestReportIsBounded(t *testing.T) {
	a := linked(t, t.TempDir(), wire.Console{URL: "http://127.0.0.1:1"})
	nasty := strings.Repeat("\x00<é\xff", 50_000)
	for i := range 100 {
		a.note("%d %s", i, nasty)
	}
	for _, phase := range phasesOf(a.opts.Plan) {
		a.board.failed(phase, errors.New(nasty), time.Minute)
	}
	a.console.setUnmet(nasty)
	err := a.console.kept.update(func(f *consoleFacts) {
		for i := range 50 {
			f.Commands = append(f.Commands, done{Result: wire.Result{ID: fmt.Sprint("c", i), Verb: nasty, Text: nasty, At: time.Now()}})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	body, results, err := a.console.makeReport(1)
	var r wire.Report
	if err != nil || len(body) > wire.MaxReport || json.Unmarshal(body, &r) != nil {
		t.Fatalf("%v, %d bytes", err, len(body))
	}
	if len(r.Phases) != 7 || len(r.Results) != resultsSent || len(results) != resultsSent || r.Numbers.DiskSize == 0 || r.Numbers.MemoryPopup == 0 || r.Numbers.MemoryFree == 0 {
		t.Errorf("it tells %d phases, %d results, %+v", len(r.Phases), len(r.Results), r.Numbers)
	}
	if err := a.console.reported(results); err != nil {
		t.Fatal(err)
	}
	if _, more, err := a.console.makeReport(2); err != nil || len(more) != resultsSent || more[0].ID != "c20" {
		t.Errorf("then it tells %+v, %v", more, err)
	}
}

// TestNumbersRise, through every stop, also where what was kept is lost.
func TestNumbersRise(t *testing.T) {
	root, last := t.TempDir(), uint64(0)
	for start := range 3 {
		a := linked(t, root, wire.Console{URL: "http://127.0.0.1:1"})
		for range seqBlock + 5 {
			seq, err := a.console.nextSeq()
			if err != nil || seq <= last {
				t.Fatalf("start %d: %d after %d, %v", start, seq, last, err)
			}
			last = seq
		}
		shut(t, a)
	}
	root = t.TempDir()
	a := linked(t, root, wire.Console{URL: "http://127.0.0.1:1"})
	last, err := a.console.nextSeq()
	if err != nil {
		t.Fatal(err)
	}
	shut(t, a)
	if err := os.WriteFile(a.at.console(), []byte("\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	if seq, err := linked(t, root, wire.Console{URL: "http://127.0.0.1:1"}).console.nextSeq(); err != nil || seq <= last {
		t.Errorf("after a loss: %d after %d, %v", seq, last, err)
	}
}
