package console

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// A machine stands for the popup of an instance: it has a key, and signs what it sends.
type machine struct {
	c         *testConsole
	id, token string
	key       ed25519.PrivateKey
	report    wire.Report // what it sends next, but for its Seq
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withKeys has a console seal what it keeps.
func withKeys(t testing.TB) func(*Options) {
	return func(o *Options) {
		keys, err := OpenKeys(filepath.Join(t.TempDir(), "keys"))
		if err != nil {
			t.Fatal(err)
		}
		o.Keys = keys
	}
}

// A party is an event with a deployment, and machines that were launched for it.
func party(t testing.TB, c *testConsole, name, owner string, machines int) (Event, []*machine) {
	t.Helper()
	e := Event{ID: "id-" + name, Name: name, Title: "The " + name, State: EventOpen, Owner: owner, End: "2026-05-31", Zone: "UTC",
		EndsAt: aDay.AddDate(0, 0, 30), FreezesAt: aDay.AddDate(0, 0, 30).Add(-10 * time.Minute), Created: aDay}
	d := Deployment{ID: "dep-" + name, Event: e.ID, Title: "Wall of " + name, App: "photo-wall", Cloud: "local", Count: machines, Created: aDay,
		Settings: map[string]string{"TITLE": "Hello"}, SecretNames: []string{"PASSWORD"}}
	d.Plan.Manifest.State = &apps.State{}
	var err error
	if d.Secrets, err = c.sealSecrets(d.ID, map[string]string{"PASSWORD": "hush"}); err != nil {
		t.Fatal(err)
	}
	var all []*machine
	c.write(t, func(tx Tx) error {
		all = nil
		wrong := errors.Join(put(tx, e), put(tx, d))
		for n := range machines {
			m := &machine{c: c, id: fmt.Sprintf("%s-abc-%d", name, n+1), token: fmt.Sprintf("token-%s-0123456789-%d", name, n), key: newKey(t)}
			m.report = wire.Report{Version: 1, Since: aDay, App: "photo-wall", URL: "http://" + m.id + ".test", Phases: []wire.Phase{{Name: "build", State: "running"}}}
			wrong = errors.Join(wrong, put(tx, Instance{ID: m.id, Event: e.ID, Deployment: d.ID, Number: n + 1, Cloud: "local", State: InstanceStarting,
				TokenHash: hashOfToken(m.token), Created: aDay, Launched: aDay}))
			all = append(all, m)
		}
		return wrong
	})
	return e, all
}

// send signs a body as it goes to a path.
func (m *machine) sign(path string, body []byte) Signature {
	signed := wire.Signed{Method: "POST", Path: path, Instance: m.id, Body: body}
	return Signature{Instance: m.id, Value: signed.Sign(m.key), From: "192.0.2.7"}
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (m *machine) enrol(t testing.TB) (wire.Enrolled, error) {
	body := asJSON(t, wire.Enrolment{Version: 1, Instance: m.id, Token: m.token, Key: m.key.Public().(ed25519.PublicKey)})
	return m.c.Enrol(t.Context(), body, m.sign(wire.PathEnrol, body))
}

// say sends the machine's report with the next number.
func (m *machine) say(t testing.TB) (wire.Answer, error) {
	m.report.Seq++
	return m.sayAgain(t)
}

func (m *machine) sayAgain(t testing.TB) (wire.Answer, error) {
	body := asJSON(t, m.report)
	return m.c.Report(t.Context(), body, m.sign(wire.PathReport, body))
}

// mustSay is say, answered.
func (m *machine) mustSay(t testing.TB) wire.Answer {
	t.Helper()
	answer, err := m.say(t)
	if err != nil {
		t.Fatalf("report of %s: %v", m.id, err)
	}
	return answer
}

func (m *machine) mustEnrol(t testing.TB) *machine {
	t.Helper()
	if _, err := m.enrol(t); err != nil {
		t.Fatalf("enrol %s: %v", m.id, err)
	}
	return m
}

// live enrols a machine and has it report that it is served.
func (m *machine) live(t testing.TB) *machine {
	t.Helper()
	m.mustEnrol(t)
	m.report.Live, m.report.Healthy, m.report.Phases = true, true, nil
	m.report.Serving = &wire.Serving{Release: "c0ffee", Revision: "da7a"}
	m.mustSay(t)
	return m
}

func (c *testConsole) newest(t testing.TB) (seq int64) {
	t.Helper()
	err := c.store.View(t.Context(), func(tx Tx) (err error) { seq, err = tx.Newest(); return err })
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// audited counts the entries of the audit log with an action and an object.
func (c *testConsole) audited(t testing.TB, action, object string) (count int) {
	t.Helper()
	err := c.store.View(t.Context(), func(tx Tx) error {
		log, err := tx.AuditLog(0, 0)
		for _, e := range log {
			if e.Action == action && e.Object == object {
				count++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// A countingStore counts the transactions that write.
type countingStore struct {
	Store
	updates atomic.Int64
}

func (s *countingStore) Update(ctx context.Context, fn func(Tx) error) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, fn)
}

func counting(s **countingStore) func(*Options) {
	return func(o *Options) {
		*s = &countingStore{Store: o.Store}
		o.Store = *s
	}
}

// until waits for what comes by itself.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it took too long: %s", what)
		}
	}
}
