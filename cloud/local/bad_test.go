package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"io/fs"
	"popup/cloud/kept"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/userdata"
	"reflect"
)

func TestBadUserDataIsRefused(t *testing.T) {
	s := open(t)
	good := planFor(s.app)
	for name, c := range map[string]struct{ data, want string }{
		"nothing":         {"", "begins with neither"},
		"garbage":         {"\x7fELF\x00\x01", "begins with neither"},
		"broken gzip":     {"\x1f\x8b\x08garbage", "gzip"},
		"no plan":         {"#!/bin/sh\nrm -rf /\n", "no plan of popup's"},
		"cut short":       {string(userData(t, good)[:len(userData(t, good))/2]), "read user-data"},
		"no plan's words": {"#!/bin/sh\nput \"$etc/config.yaml\" 600 <<'E'\nhello: 1\nE\n", "plan_version is missing"},
		"newer":           {"#!/bin/sh\nput \"$etc/config.yaml\" 600 <<'E'\nplan_version: 99\nE\n", "use a newer popup"},
		"no code":         {string(userData(t, "plan_version: 1\nmanifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}\n")), "service has no url"},
		"another's":       {string(userData(t, good+"instance: two\n")), "that of instance two"},
		"domain":          {string(userData(t, good+"serve: {domains: [fair.example.org]}\n")), "launch without a domain"},
		"listen":          {string(userData(t, good+"serve: {listen: \":8080\"}\n")), "leave listen out"},
		"metrics":         {string(userData(t, good+"serve: {metrics: \"192.0.2.1:9100\"}\n")), "choose another port for them"},
	} {
		l := s.toy("one")
		l.UserData = []byte(c.data)
		if _, err := s.Launch(t.Context(), l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: launched, %v; want %q", name, err, c.want)
		}
		if err := s.Check(t.Context(), l); len(c.data) > 0 && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: checked, %v; want %q", name, err, c.want)
		}
	}
	if names := s.names(); !slices.Equal(names, []string{kept.LockName}) {
		t.Errorf("what was refused left %q", names)
	}
}

// What a stranger wrote must not have popup, which runs as the console's user, read
// this machine's files to publish them.
func TestStrangersNameNoFilesOfThisMachine(t *testing.T) {
	s := open(t)
	const manifest = "plan_version: 1\nmanifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}%s}\nservice: {%s}\n%s"
	data := ", data: {source: folder, url: /x, mount: days}"
	for _, c := range []struct{ name, plan, want string }{
		{"folder", fmt.Sprintf(manifest, "", "kind: folder, url: "+s.app, ""), "the code would be read from a folder"},
		{"repository here", fmt.Sprintf(manifest, "", "url: /srv/secret.git", ""), "the code would be read from a folder"},
		{"relative", fmt.Sprintf(manifest, "", "url: ../secret.git", ""), "the code would be read from a folder"},
		{"file URL", fmt.Sprintf(manifest, "", `url: "file:///srv/secret.git"`, ""), "the code would be read from a folder"},
		{"colon", fmt.Sprintf(manifest, "", `url: "/srv/a:b"`, ""), "the code would be read from a folder"},
		{"data folder", fmt.Sprintf(manifest, data, `url: "https://example.org/x.git"`, "data: {kind: folder, url: /etc}\n"), "the data would be read from a folder"},
		{"credentials", fmt.Sprintf(manifest, "", `url: "https://example.org/x.git", credentials_file: /root/.netrc`, ""), "credentials from a file"},
		{"shipped", fmt.Sprintf(manifest, data, `kind: folder, url: "catalogue:notice"`, "data: {kind: folder, url: \"catalogue:notice/sample\"}\n"), ""},
		{"remote", fmt.Sprintf(manifest, "", `url: "git@example.org:x.git"`, ""), ""},
	} {
		l := s.toy("one")
		l.UserData = userData(t, c.plan)
		l.Catalogued = true
		if err := s.Check(t.Context(), l); err != nil && c.name != "relative" {
			t.Errorf("%s, of the catalogue: %v", c.name, err)
		}
		l.Catalogued = false
		err := s.Check(t.Context(), l)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

func TestWithoutLandlockOnlyTheCatalogue(t *testing.T) {
	s := open(t)
	s.kind.confines = false
	for _, c := range []struct{ catalogued, allowed, want bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		s.kind.allowUnconfined = c.allowed
		l := console.Launch{Instance: "one", Catalogued: c.catalogued}
		err := s.Check(t.Context(), l)
		if (err == nil) != c.want || err != nil && !strings.Contains(err.Error(), "--allow-unconfined") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	l := s.toy("one")
	l.Catalogued, s.kind.allowUnconfined = false, false
	if _, err := s.Launch(t.Context(), l); err == nil || !strings.Contains(err.Error(), "--allow-unconfined") {
		t.Errorf("launched: %v", err)
	}
}

// No string of a plan gets out of its place.
func TestHostileStringsStayStrings(t *testing.T) {
	s := open(t)
	for i, hostile := range []string{"$(touch PWNED)`touch PWNED`;touch PWNED|&", "a\nEOF\nput x\n'\"\\", "--root=/\x01\u2028\u202e", "{{.}} %s %n", "#cloud-config\n---\n- x: &a [*a]"} {
		plan, err := userdata.DecodePlan([]byte(planFor(s.app)))
		if err != nil {
			t.Fatal(err)
		}
		plan.Manifest.Name = "Toy " + hostile
		plan.Settings = map[string]string{}
		l := s.toy(fmt.Sprintf("i%d", i))
		l.Event, l.Deployment, l.App = hostile, hostile, hostile
		l.UserData = kepttest.Render(t, userdata.Spec{Plan: plan})
		m, err := s.Launch(t.Context(), l)
		if err != nil { // the manifest's own rules refuse some
			if !strings.Contains(err.Error(), "name") {
				t.Errorf("%q: %v", hostile, err)
			}
			plan.Manifest.Name = "Toy"
			l.UserData = kepttest.Render(t, userdata.Spec{Plan: plan})
			m = s.Start(l)
		}
		if got := s.config(l.Instance); got.Manifest.Name != plan.Manifest.Name || !reflect.DeepEqual(got.Service, plan.Service) {
			t.Errorf("%q: the instance gets %+v", hostile, got)
		}
		s.Await(m.Address, "hello from the app")
		s.again()
		var known kept.Record
		text, err := os.ReadFile(filepath.Join(s.opts.Dir, l.Instance, kept.RecordName))
		if err != nil || json.Unmarshal(text, &known) != nil || known.Event != hostile || known.Deployment != hostile || known.App != hostile {
			t.Errorf("%q: it is remembered as %q, %v", hostile, text, err)
		}
	}
	err := filepath.WalkDir(filepath.Dir(s.opts.Dir), func(path string, d fs.DirEntry, err error) error {
		if d.Name() == "PWNED" {
			t.Errorf("%s was made", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	s := open(t)
	s.close()
	if err := syscall.Mount("tmpfs", s.opts.Dir, "tmpfs", 0, "size=64k,mode=711"); errors.Is(err, syscall.EPERM) {
		s.open()
		t.Skip("only root may mount a small file system")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(s.opts.Dir, 0); err != nil {
			t.Error(err)
		}
		s.open()
	})
	s.open()
	filler := filepath.Join(s.opts.Dir, kept.TempPrefix+"filler")
	_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) // as much as fits
	l := s.toy("one")
	if _, err := s.Launch(t.Context(), l); err == nil || !strings.Contains(err.Error(), "free space on the disk of "+s.opts.Dir) {
		t.Errorf("launched on a full disk: %v", err)
	}
	if names := s.names(); !slices.Equal(names, []string{kept.LockName, filepath.Base(filler)}) {
		t.Errorf("a full disk has %q", names)
	}
	if err := os.Truncate(filler, 0); err != nil {
		t.Fatal(err)
	}
	s.Start(l)
	s.End("one")
	s.close()
}

func TestLeftoversAreSwept(t *testing.T) {
	t.Run("as we are", func(t *testing.T) { leftoversAreSwept(t, nil) })
	if os.Geteuid() == 0 { // to whom no folder is closed
		t.Run("without privileges", func(t *testing.T) { leftoversAreSwept(t, nobody) })
	}
}

func leftoversAreSwept(t *testing.T, as *syscall.Credential) {
	s := open(t)
	s.Start(s.toy("one"))
	s.close()
	// Not whole, but its popup may have been left running by somebody who renamed it.
	if err := os.Rename(filepath.Join(s.opts.Dir, "one"), filepath.Join(s.opts.Dir, kept.TempPrefix+"gone-one")); err != nil {
		t.Fatal(err)
	}
	s.open()
	if left := s.ups(""); len(left) > 0 {
		t.Errorf("swept, processes %v run", left)
	}
	s.close()
	for _, name := range []string{kept.TempPrefix + "gone-two", kept.TempPrefix + "new-three"} {
		write(t, filepath.Join(s.opts.Dir, name, "root/closed/x\xff/file"), "")
		write(t, filepath.Join(s.opts.Dir, name, "root/shut/file"), "")
		for _, dir := range []string{"root/closed/x\xff", "root/closed", "root/shut"} {
			if err := os.Chmod(filepath.Join(s.opts.Dir, name, dir), 0o000); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.give(as)
	s.asProcess(as, order{})
	if names := s.names(); !slices.Equal(names, []string{kept.LockName}) {
		t.Errorf("swept, there is %q", names)
	}
}

// What cannot be ended is not started again, is still listed, and is tried again.
func TestEndThatFails(t *testing.T) {
	s := open(t)
	s.Await(s.Start(s.toy("one")).Address, "hello from the app")
	obstacle := filepath.Join(s.opts.Dir, "one", rootName, "run/popup/processes/folder.json")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Terminate(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), "end one: ") {
		t.Errorf("ended: %v", err)
	}
	<-time.After(3 * time.Second) // within which what ended is started again
	if m := s.MachineOf("one"); m.State != console.MachineStopped || !strings.Contains(m.Detail, "not all of it") {
		t.Errorf("it is %+v", m)
	}
	if left := s.processes("one"); len(left) > 0 {
		t.Errorf("processes %v run", left)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	s.End("one")
}

// What a folder of that name holds was not launched, and is nobody's to overwrite.
func TestNameThatIsTaken(t *testing.T) {
	s := open(t)
	path := write(t, filepath.Join(s.opts.Dir, "one"), "mine")
	if _, err := s.Launch(t.Context(), s.toy("one")); err == nil {
		t.Error("launched over a file")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Where the path of a root is too long for sockets they are elsewhere, and go too.
func TestSocketsElsewhereAreRemoved(t *testing.T) {
	s := open(t)
	id := strings.Repeat("long", 30)
	s.Await(s.Start(s.toy(id)).Address, "hello from the app")
	var facts struct{ Sockets string }
	text, err := os.ReadFile(filepath.Join(s.opts.Dir, id, rootName, filepath.Dir(journalName), "facts.json"))
	if err != nil || json.Unmarshal(text, &facts) != nil {
		t.Fatalf("read facts: %v, %s", err, text)
	}
	if info, err := os.Stat(facts.Sockets); err != nil || !info.IsDir() || strings.HasPrefix(facts.Sockets, s.opts.Dir) {
		t.Fatalf("no sockets are elsewhere, in %q: nothing is proven", facts.Sockets)
	}
	s.End(id)
	if _, err := os.Stat(facts.Sockets); err == nil {
		t.Errorf("%s is left", facts.Sockets)
	}
}

func FuzzUserDataIsOnlyRead(f *testing.F) {
	k := &kind{Options: kept.Options{Host: "127.0.0.1"}}
	plan := "plan_version: 1\nmanifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}\nservice: {url: \"https://example.org/x.git\"}\n"
	f.Add(userData(f, plan))
	f.Add(userData(f, plan+"serve: {domains: [a.example.org]}\n"))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := k.plan(console.Launch{Instance: "one", UserData: data})
		if err != nil {
			return
		}
		text, err := userdata.EncodePlan(plan)
		if err != nil {
			t.Skip("bytes that no text has")
		}
		if again, err := userdata.DecodePlan(text); err != nil || !reflect.DeepEqual(again.Service, plan.Service) {
			t.Errorf("the instance would get %+v, %v; want %+v", again, err, plan)
		}
		if !strings.Contains(plan.Service.URL, ":") || strings.HasPrefix(plan.Service.URL, "file:") {
			t.Errorf("a stranger's code comes from %q", plan.Service.URL)
		}
	})
}

func FuzzEndedBy(f *testing.F) {
	f.Add([]byte(`{"event":"boot"}` + "\n" + `{"event":"over"}` + "\n" + `{"event":"stop"}` + "\n"))
	f.Add([]byte(`ent":"x"}` + "\n" + `{"event":"over"}` + "\n{\"event\":\"bo"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if endedBy(append(slices.Clone(text), "\n{\"event\":\"boot\"}\n"...)) {
			t.Error("what was started since has ended")
		}
		if !endedBy(append(slices.Clone(text), "\n{\"event\":\"over\"}\n{\"event\":\"stop\"}\n{\"cut"...)) {
			t.Error("what is over has not ended")
		}
	})
}
