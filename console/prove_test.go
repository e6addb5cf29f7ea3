package console

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"popup/internal/wire"
	"popup/userdata"
)

// A vouchingCloud believes a document that is signed with "signed".
type vouchingCloud struct{ *fakeCloud }

func (f vouchingCloud) Identify(ctx context.Context, proof wire.Identity) (string, error) {
	if string(proof.Signature) != "signed" {
		return "", errors.New("it is signed by nobody\nthat is known here")
	}
	return string(proof.Document), errors.Join(ctx.Err(), f.failure("identify", ""))
}

// vouched is a console whose cloud vouches, and an instance of it that comes up.
func vouched(t *testing.T) (*living, *machine) {
	l := newLiving(t)
	l.opts.Clouds["local"] = vouchingCloud{l.cloud}
	_, all := l.launched(t, fair(AppRequest{App: "notice"}))
	plan, err := userdata.Read(l.cloud.launches[0].UserData)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Console.Identity != wire.IdentityEC2 {
		t.Errorf("its user-data asks for the proof %q", plan.Console.Identity)
	}
	return l, &machine{c: l.testConsole, id: all[0].ID, token: plan.Console.Token, key: newKey(t)}
}

// proves enrols with a proof; nil: without one.
func (m *machine) proves(t *testing.T, proof *wire.Identity) error {
	t.Helper()
	body := asJSON(t, wire.Enrolment{Version: 1, Instance: m.id, Token: m.token, Key: m.key.Public().(ed25519.PublicKey), Identity: proof})
	_, err := m.c.Enrol(t.Context(), body, m.sign(wire.PathEnrol, body))
	return err
}

func proofOf(document, signature string) *wire.Identity {
	return &wire.Identity{Kind: wire.IdentityEC2, Document: []byte(document), Signature: []byte(signature)}
}

// TestProof: what enrols proves that it is the machine that was launched.
func TestProof(t *testing.T) {
	l, m := vouched(t)
	good := proofOf("m-"+m.id, "signed")
	for name, c := range map[string]struct {
		proof *wire.Identity
		says  string
	}{
		"no proof":             {nil, "brings no proof of which machine it is"},
		"another machine":      {proofOf("m-other", "signed"), "proof of another machine"},
		"no machine":           {proofOf("", "signed"), "proof of another machine"},
		"another's signature":  {proofOf("m-"+m.id, "forged"), "does not hold: it is signed by nobody that is known here"},
		"nothing of it at all": {&wire.Identity{}, "does not hold"},
	} {
		l.clock.advance(complainEvery)
		before := l.audited(t, "refuse enrolment", "instance/"+m.id)
		if err := m.proves(t, c.proof); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if l.audited(t, "refuse enrolment", "instance/"+m.id) != before+1 {
			t.Errorf("%s: it is not in the audit log", name)
		}
	}
	guess := *m
	guess.token = "token-of-nobody-0123456789"
	if err := guess.proves(t, good); !errors.Is(err, errToken) {
		t.Errorf("the right machine with a wrong token: %v", err)
	}
	if i := stored[Instance](t, l.testConsole, m.id); i.Key != nil {
		t.Fatal("it enrolled all the same")
	}
	for range 2 { // its answer may be lost
		if err := m.proves(t, good); err != nil {
			t.Fatal(err)
		}
	}
	thief := *m
	thief.key = newKey(t)
	if err := thief.proves(t, good); !errors.Is(err, errOtherKey) {
		t.Errorf("the same proof with another key: %v", err)
	}
	m.report = wire.Report{Version: 1, Since: aDay}
	m.mustSay(t)
}

// TestProofBeforeItsLaunchWasAnswered: an instance that is faster than its cloud waits.
func TestProofBeforeItsLaunchWasAnswered(t *testing.T) {
	l, m := vouched(t)
	change := func(machine string) {
		l.write(t, func(tx Tx) error {
			i, err := get[Instance](tx, m.id)
			i.Machine = machine
			return errors.Join(err, put(tx, i))
		})
	}
	change("")
	busy := new(BusyError)
	if err := m.proves(t, proofOf("m-"+m.id, "signed")); !errors.As(err, &busy) || busy.After != notKnownFor {
		t.Errorf("its machine is not known yet: %v", err)
	}
	if i := stored[Instance](t, l.testConsole, m.id); i.Key != nil || l.audited(t, "enrol", "instance/"+m.id) != 0 {
		t.Error("it enrolled all the same")
	}
	change("m-" + m.id)
	if err := m.proves(t, proofOf("m-"+m.id, "signed")); err != nil {
		t.Error(err)
	}
}

// TestProofNobodyCanTell: a console that was started without what it needs for that asks
// it to come again, and does without only where it always did.
func TestProofNobodyCanTell(t *testing.T) {
	l, m := vouched(t)
	l.opts.Clouds["local"] = l.cloud
	busy := new(BusyError)
	if err := m.proves(t, proofOf("m-"+m.id, "signed")); !errors.As(err, &busy) {
		t.Errorf("its cloud vouches no more: %v", err)
	}
	l.opts.Clouds["local"] = vouchingCloud{l.cloud}
	l.opts.Reach["local"] = Reach{SameMachine: true, Anonymous: true}
	_, all := l.launched(t, fair(AppRequest{App: "notice"}))
	plan, err := userdata.Read(l.cloud.launches[1].UserData)
	if err != nil || plan.Console.Identity != "" {
		t.Fatalf("it is asked for %q, %v", plan.Console.Identity, err)
	}
	if err := (&machine{c: l.testConsole, id: all[0].ID, token: plan.Console.Token, key: newKey(t)}).proves(t, nil); err != nil {
		t.Error(err)
	}
}
