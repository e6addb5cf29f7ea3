package console

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"popup/internal/wire"
)

func order(t testing.TB, c *testConsole, instance string, command wire.Command) Order {
	t.Helper()
	o, err := c.Command(t.Context(), anOwner, instance, command)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCommand(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	o := order(t, c, m.id, wire.Command{ID: "mine", Verb: wire.VerbRollback, Args: map[string]string{"what": "data", "to": "da7a0"}})
	if o.ID == "mine" || o.By != anOwner.ID || !o.At.Equal(c.now()) || c.audited(t, "command", "instance/"+m.id) != 1 {
		t.Errorf("ordered %+v", o)
	}
	for range 2 { // until it is answered
		answer := m.mustSay(t)
		if len(answer.Commands) != 1 || answer.Commands[0].ID != o.ID || answer.Commands[0].Args["to"] != "da7a0" || answer.Next != 5 {
			t.Fatalf("told %+v", answer)
		}
	}
	m.report.Results = []wire.Result{{ID: o.ID, Verb: o.Verb, OK: true, Text: "it serves data da7a0", At: aDay}, {ID: "another", Verb: "sync"}}
	if answer := m.mustSay(t); len(answer.Commands) != 0 || answer.Next != 30 {
		t.Errorf("told again %+v", answer)
	}
	before := c.newest(t)
	m.mustSay(t) // the answer was lost: the same result is told twice
	m.report.Results = nil
	m.mustSay(t)
	if c.newest(t) != before {
		t.Error("a result that is known was written again")
	}
	v, err := c.Instance(t.Context(), aViewer, m.id)
	if err != nil || len(v.Commands) != 1 || v.Commands[0].Result == nil || v.Commands[0].Result.Text != "it serves data da7a0" {
		t.Errorf("kept %+v, %v", v.Commands, err)
	}
}

func TestCommandsAreBounded(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	var last Order
	for round := range 2 {
		m.report.Results = nil
		for range mostWaiting {
			last = order(t, c, m.id, wire.Command{Verb: wire.VerbSync})
			m.report.Results = append(m.report.Results, wire.Result{ID: last.ID, Verb: last.Verb, OK: true})
		}
		var conflict *ConflictError
		if _, err := c.Command(t.Context(), anOwner, m.id, wire.Command{Verb: wire.VerbSync}); !errors.As(err, &conflict) {
			t.Errorf("one too many, in round %d: %v", round, err)
		}
		m.mustSay(t)
	}
	i := stored[Instance](t, c, m.id)
	if len(i.Commands) != mostAnswered || i.Commands[mostAnswered-1].ID != last.ID || len(i.waiting()) != 0 {
		t.Errorf("%d are kept", len(i.Commands))
	}
}

func TestCommandRefuses(t *testing.T) {
	c := newConsole(t, withKeys(t))
	e, machines := party(t, c, "fair", "otto", 2)
	id, over := machines[0].id, machines[1].id
	for name, command := range map[string]wire.Command{"nothing": {}, "an unknown verb": {Verb: "rm"}, "an argument more": {Verb: wire.VerbSync, Args: map[string]string{"what": "data"}},
		"no what": {Verb: wire.VerbRollback}, "another what": {Verb: wire.VerbRelease, Args: map[string]string{"what": "state"}},
		"a path": {Verb: wire.VerbRollback, Args: map[string]string{"what": "data", "to": "../../etc"}}, "a line more": {Verb: wire.VerbRollback, Args: map[string]string{"what": "data", "to": "a\nb"}}} {
		var input *InputError
		if _, err := c.Command(t.Context(), anOwner, id, command); !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, over)
		i.State = InstanceGone
		return errors.Join(err, put(tx, i))
	})
	var conflict *ConflictError
	if _, err := c.Command(t.Context(), anOwner, over, wire.Command{Verb: wire.VerbSync}); !errors.As(err, &conflict) {
		t.Errorf("to one that is over: %v", err)
	}
	helper := Actor{Kind: ActorLink, ID: "link", Role: RoleHelper, Event: e.ID}
	elsewhere := Actor{Kind: ActorLink, ID: "link", Role: RoleHelper, Event: "another"}
	otherOrganiser := Actor{Kind: ActorPerson, ID: "oda", Role: RoleOrganiser}
	for _, try := range []struct {
		who  string
		a    Actor
		verb string
		want error
	}{
		{"nobody", aStranger, wire.VerbSync, ErrSignIn}, {"a viewer", aViewer, wire.VerbSync, ErrForbidden}, {"a helper", helper, wire.VerbSync, nil},
		{"a helper who ends it", helper, wire.VerbEnd, ErrForbidden}, {"another event's helper", elsewhere, wire.VerbSync, ErrNotFound},
		{"its organiser", anOrganiser, wire.VerbEnd, nil}, {"another organiser", otherOrganiser, wire.VerbSync, ErrNotFound},
	} {
		if _, err := c.Command(t.Context(), try.a, id, wire.Command{Verb: try.verb}); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", try.who, err)
		}
	}
	if _, err := c.Command(t.Context(), anOwner, "fair-abc-9", wire.Command{Verb: wire.VerbSync}); !errors.Is(err, ErrNotFound) {
		t.Errorf("to none: %v", err)
	}
	if n := len(stored[Instance](t, c, id).Commands); n != 2 {
		t.Errorf("%d commands were taken, 2 are right", n)
	}
}

func TestPin(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	commit, on, follow := "c0ffee0", true, ""
	v, err := c.Pin(t.Context(), anOrganiser, m.id, Pins{ServiceCommit: &commit, ReadOnly: &on})
	if err != nil || v.Wanted.ServiceCommit != commit || !v.Wanted.ReadOnly || v.Wanted.Generation != 1 || c.audited(t, "pin", "instance/"+m.id) != 1 {
		t.Fatalf("pinned %+v, %v", v.Wanted, err)
	}
	if answer := m.mustSay(t); answer.Wanted == nil || answer.Wanted.ServiceCommit != commit || answer.Next != 5 {
		t.Errorf("told %+v", answer)
	}
	m.report.Generation = 1
	if answer := m.mustSay(t); answer.Wanted != nil || answer.Next != 30 {
		t.Errorf("told again what holds: %+v", answer)
	}
	if v, err = c.Pin(t.Context(), anOrganiser, m.id, Pins{ServiceCommit: &follow}); err != nil || v.Wanted.ServiceCommit != "" || !v.Wanted.ReadOnly || v.Wanted.Generation != 2 {
		t.Errorf("following again: %+v, %v", v.Wanted, err)
	}
	bad := "$(reboot)"
	var input *InputError
	for name, pin := range map[string]Pins{"nothing": {}, "a shell's": {DataRevision: &bad}} {
		if _, err := c.Pin(t.Context(), anOrganiser, m.id, pin); !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Pin(t.Context(), aViewer, m.id, Pins{ReadOnly: &on}); !errors.Is(err, ErrForbidden) {
		t.Errorf("by a viewer: %v", err)
	}
}

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write([]byte(text))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (m *machine) sendLogs(t testing.TB, command string, body []byte) error {
	t.Helper()
	return m.c.TakeLogs(t.Context(), command, body, m.sign(wire.PathLogs+command, body))
}

func TestLogs(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 2)
	m, other := machines[0].live(t), machines[1].live(t)
	first, sync := order(t, c, m.id, wire.Command{Verb: wire.VerbLogs}), order(t, c, m.id, wire.Command{Verb: wire.VerbSync})
	m.mustSay(t)
	if _, err := c.Logs(t.Context(), anOwner, m.id, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("before it came: %v", err)
	}
	if err := m.sendLogs(t, first.ID, zipped(t, "it began\n")); err != nil {
		t.Fatal(err)
	}
	text, err := c.Logs(t.Context(), anOwner, m.id, first.ID)
	if err != nil || string(text) != "it began\n" {
		t.Errorf("the log is %q, %v", text, err)
	}
	for who, a := range map[string]Actor{"a viewer": aViewer, "nobody": aStranger} {
		if _, err := c.Logs(t.Context(), a, m.id, first.ID); err == nil {
			t.Errorf("%s reads the log", who)
		}
	}
	if _, err := c.Logs(t.Context(), anOwner, other.id, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("as another's: %v", err)
	}
	var input *InputError
	noise := make([]byte, wire.MaxLogs)
	_, _ = rand.Read(noise)
	for name, err := range map[string]error{"a command that is none for logs": m.sendLogs(t, sync.ID, zipped(t, "x")), "another's command": other.sendLogs(t, first.ID, zipped(t, "x")),
		"not compressed": m.sendLogs(t, first.ID, []byte("plain")), "cut short": m.sendLogs(t, first.ID, zipped(t, "x")[:12]), "too long": m.sendLogs(t, first.ID, zipped(t, string(noise))),
		"a path": m.sendLogs(t, "../x", zipped(t, "x"))} {
		if !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	body := zipped(t, "x")
	if err := c.TakeLogs(t.Context(), first.ID, body, other.sign(wire.PathLogs+first.ID, body)); !errors.As(err, &input) {
		t.Errorf("from another: %v", err)
	}
	if err := c.TakeLogs(t.Context(), first.ID, body, m.sign(wire.PathReport, body)); !errors.Is(err, ErrForbidden) {
		t.Errorf("signed for another path: %v", err)
	}
	second := order(t, c, m.id, wire.Command{Verb: wire.VerbLogs})
	if err := m.sendLogs(t, second.ID, zipped(t, strings.Repeat("0", 3*longestLog))); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Logs(t.Context(), anOwner, m.id, second.ID); err != nil || len(text) != longestLog {
		t.Errorf("a bomb is %d bytes, %v", len(text), err)
	}
	if _, err := c.Logs(t.Context(), anOwner, m.id, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the older one is kept beside the newer: %v", err)
	}
}

func TestLogsAreBounded(t *testing.T) {
	var l sentLogs
	body := make([]byte, wire.MaxLogs)
	most := mostLogBytes / len(body)
	for n := range most + 10 {
		l.keep(sentLog{fmt.Sprint("i", n), "c", body})
		l.keep(sentLog{fmt.Sprint("i", n), "d", body})
	}
	if l.bytes != most*len(body) || len(l.all) != most || l.find("i9", "d") != nil || l.find("i10", "d") == nil {
		t.Errorf("%d logs, %d bytes", len(l.all), l.bytes)
	}
}
