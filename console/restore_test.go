package console

import (
	"errors"
	"io"
	"strings"
	"testing"

	"popup/apps"
	"popup/internal/archive"
	"popup/internal/wire"
	"popup/userdata"
)

// comesUp is the machine of an instance that was launched, enrolled; and what it was told.
func (l *living) comesUp(t *testing.T, i Instance) (*machine, wire.Enrolled, wire.Plan) {
	t.Helper()
	for _, ask := range l.cloud.launches {
		if ask.Instance != i.ID {
			continue
		}
		plan, err := userdata.Read(ask.UserData)
		if err != nil {
			t.Fatal(err)
		}
		m := &machine{c: l.testConsole, id: i.ID, token: plan.Console.Token, key: newKey(t)}
		told, err := m.enrol(t)
		if err != nil {
			t.Fatal(err)
		}
		return m, told, plan
	}
	t.Fatalf("%s was never launched", i.ID)
	return nil, wire.Enrolled{}, wire.Plan{}
}

func (m *machine) fetch(t *testing.T, name string) (string, error) {
	t.Helper()
	_, file, err := m.c.GetArchive(t.Context(), name, m.ask("GET", name, nil))
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(file)
	return string(body), errors.Join(err, file.Close())
}

// TestRestoreByLaunch: last week's backup is what a new event begins with; the instance
// that was launched with it is given it, and no other.
func TestRestoreByLaunch(t *testing.T) {
	var dir string
	l := newLiving(t, withVault(t, &dir))
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	first, told, _ := l.comesUp(t, all[0])
	if told.Restore != nil {
		t.Errorf("the first one is told to begin with %+v", told.Restore)
	}
	body := first.backup(t, false, "written last week")
	first.mustPut(t, "monday.tar.zst", body)
	first.mustPut(t, "sunday.tar.zst", first.backup(t, false, "written before"))
	asks := func(app, restore string) LaunchRequest {
		r := fair(AppRequest{App: "guestbook", Restore: restore})
		r.Apps[0].App = apps.AppID(app)
		return r
	}
	for name, c := range map[string]struct {
		app, restore, says string
		by                 Actor
	}{
		"another's":       {"guestbook", all[0].ID + "/monday.tar.zst", "no such backup that is yours to fetch", anOrganiser},
		"another backup":  {"guestbook", all[0].ID + "/tuesday.tar.zst", "no such backup", anOwner},
		"no instance":     {"guestbook", "nobody/monday.tar.zst", "no such backup", anOwner},
		"no name":         {"guestbook", all[0].ID, "write it as INSTANCE/NAME", anOwner},
		"another folder":  {"guestbook", all[0].ID + "/../monday.tar.zst", "write it as INSTANCE/NAME", anOwner},
		"an app that has": {"notice", all[0].ID + "/monday.tar.zst", "keeps nothing that visitors write", anOwner},
	} {
		input := new(InputError)
		if _, err := l.Preview(t.Context(), c.by, asks(c.app, c.restore)); !errors.As(err, &input) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	_, all = l.launched(t, asks("guestbook", all[0].ID+"/monday.tar.zst"))
	second, told, _ := l.comesUp(t, all[0])
	if told.Restore == nil || told.Restore.Vault != wire.VaultConsole || archive.CheckName(told.Restore.Name) != nil || told.Restore.Identity != "" {
		t.Fatalf("it is told to begin with %+v", told.Restore)
	}
	if got, err := second.fetch(t, told.Restore.Name); err != nil || got != string(body) {
		t.Errorf("it is given %d bytes of %d, %v", len(got), len(body), err)
	}
	_, all = l.launched(t, fair(AppRequest{App: "guestbook"}))
	third, _, _ := l.comesUp(t, all[0])
	for _, m := range []*machine{first, third} {
		if _, err := m.fetch(t, told.Restore.Name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s is given what another begins with: %v", m.id, err)
		}
	}
	for _, name := range []string{"monday.tar.zst", archiveID(first.id, "sunday.tar.zst")} {
		if _, err := second.fetch(t, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("it is given %s as well: %v", name, err)
		}
	}
	own := second.backup(t, false, "written since")
	second.mustPut(t, "monday.tar.zst", own)
	if got, err := second.fetch(t, "monday.tar.zst"); err != nil || got != string(own) {
		t.Errorf("of its own it is given %d bytes, %v", len(got), err)
	}
}

// TestBackupOfAnotherApp is refused.
func TestBackupOfAnotherApp(t *testing.T) {
	l := newLiving(t)
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	l.write(t, func(tx Tx) error {
		d, err := get[Deployment](tx, all[0].Deployment)
		d.App = "auction"
		return errors.Join(err, put(tx, d), put(tx, Archive{Instance: all[0].ID, Name: "monday.tar.zst"}))
	})
	_, err := l.Preview(t.Context(), anOwner, fair(AppRequest{App: "guestbook", Restore: all[0].ID + "/monday.tar.zst"}))
	if err == nil || !strings.Contains(err.Error(), "that is a backup of auction") {
		t.Errorf("refused with %v", err)
	}
}

// TestStateInABucket: backups go where the console says, encrypted to a key that it keeps
// sealed and tells nobody but who begins with one; the instance's word is what ends it.
func TestStateInABucket(t *testing.T) {
	bucket := wire.State{Vault: "s3://backups/2026/", Endpoint: "https://s3.example.org", Region: "eu"}
	l := newLiving(t, func(o *Options) { o.State = StateVault{Bucket: bucket} })
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	_, _, plan := l.comesUp(t, all[0])
	d := stored[Deployment](t, l.testConsole, all[0].Deployment)
	want := bucket
	want.Vault, want.Recipient = "s3://backups/2026/"+d.ID+"/", plan.State.Recipient
	if plan.State != want || archive.CheckRecipient(plan.State.Recipient) != nil || len(d.StateKey) == 0 || strings.Contains(string(d.StateKey), "AGE-SECRET") {
		t.Errorf("its state is kept as %+v", plan.State)
	}
	l.reports(t, id, live)
	e = l.ends(t, e)
	l.later(t, patience)
	if len(l.cloud.instances()) != 1 {
		t.Fatal("it was taken away without its backup")
	}
	l.reports(t, id, wire.Report{End: &wire.Ending{Step: stepOver, Archive: "../final.tar.zst.age"}})
	if len(l.cloud.instances()) != 1 {
		t.Fatal("it was taken away by a backup that is none")
	}
	l.reports(t, id, wire.Report{End: &wire.Ending{Step: stepOver, Archive: "final.tar.zst.age"}})
	l.checkReceipt(t, e, "Archived in "+want.Vault+" as final.tar.zst.age, encrypted, and read back, as the machine said when it was over.")
	_, all = l.launched(t, fair(AppRequest{App: "guestbook", Restore: id + "/final.tar.zst.age"}))
	_, told, _ := l.comesUp(t, all[0])
	if r := told.Restore; r == nil || r.Vault != want.Vault || r.Name != "final.tar.zst.age" {
		t.Fatalf("it is told to begin with %+v", r)
	}
	if to, err := archive.RecipientOf(told.Restore.Identity); err != nil || to != plan.State.Recipient {
		t.Errorf("its key opens what is for %s, %v; want %s", to, err, plan.State.Recipient)
	}
}

// TestArchiveThatNeverCame: where backups are the console's, what never came is not
// taken for one by an instance's word.
func TestArchiveThatNeverCame(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	l.reports(t, all[0].ID, live)
	l.ends(t, e)
	l.reports(t, all[0].ID, wire.Report{End: &wire.Ending{Step: stepOver, Archive: "final.tar.zst"}})
	l.later(t, patience)
	if len(l.cloud.instances()) != 1 {
		t.Error("it was taken away")
	}
}

// TestStateKeyOfTheOperator: where whoever runs the console has the key, it keeps none.
func TestStateKeyOfTheOperator(t *testing.T) {
	identity, recipient, err := archive.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	l := newLiving(t, func(o *Options) {
		o.State = StateVault{Bucket: wire.State{Vault: "s3://backups/"}, Identity: identity}
	})
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice"}))
	d := stored[Deployment](t, l.testConsole, all[0].Deployment)
	if d.Plan.State.Recipient != recipient || d.StateKey != nil || stored[Deployment](t, l.testConsole, all[1].Deployment).Plan.State != (wire.State{}) {
		t.Errorf("%+v", d.Plan.State)
	}
	_, all = l.launched(t, fair(AppRequest{App: "guestbook", Restore: all[0].ID + "/monday.tar.zst.age"}))
	if _, told, _ := l.comesUp(t, all[0]); told.Restore == nil || told.Restore.Identity != identity {
		t.Errorf("it is told to begin with %v", told.Restore != nil)
	}
}

func TestStateVaultCheck(t *testing.T) {
	for _, c := range []struct {
		v    StateVault
		says string
	}{
		{StateVault{}, ""},
		{StateVault{Bucket: wire.State{Vault: "s3://backups/"}}, ""},
		{StateVault{Bucket: wire.State{Vault: "s3://backups"}}, "write s3://bucket/folder/"},
		{StateVault{Bucket: wire.State{Vault: "/srv/backups/"}}, "write s3://bucket/folder/"},
		{StateVault{Bucket: wire.State{Region: "eu"}}, "name one like s3://bucket/folder/"},
		{StateVault{Identity: "AGE-SECRET-KEY-1"}, "name one like s3://bucket/folder/"},
		{StateVault{Bucket: wire.State{Vault: "s3://backups/"}, Identity: "hush"}, "none of age's"},
	} {
		if err := c.v.Check(); err == nil != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%+v: %v, want %q", c.v, err, c.says)
		}
	}
}
