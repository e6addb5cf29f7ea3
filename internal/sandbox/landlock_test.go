package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/process"
	"popup/internal/sandbox"
)

// The program is our own user here: Landlock alone stands between it and our files.
func TestLandlock(t *testing.T) {
	if sandbox.LandlockABI() == 0 {
		t.Fatal("this kernel has no Landlock, which these tests need (Linux 5.13, lsm=landlock)")
	}
	dir := openDir(t)
	readable := makeDir(t, filepath.Join(dir, "readable"), 0o755, nil)
	writable := makeDir(t, filepath.Join(dir, "writable"), 0o755, nil)
	closed := makeDir(t, filepath.Join(dir, "closed"), 0o755, nil)
	tools := makeDir(t, filepath.Join(dir, "tools"), 0o755, nil)
	for _, d := range []string{readable, writable, closed} {
		writeFile(t, filepath.Join(d, "file"), "text", 0o644)
	}
	for _, d := range []string{tools, readable, writable} {
		writeFile(t, filepath.Join(d, "tool"), "#!/bin/sh\n", 0o755)
	}
	confined := sandbox.System()
	confined.Required = true
	confined.ReadOnly = append(confined.ReadOnly, readable, filepath.Join(dir, "missing"))
	confined.Execute = append(confined.Execute, tools)
	confined.ReadWrite = append(confined.ReadWrite, writable)
	for _, c := range []struct {
		command string
		allowed bool
	}{
		{"cat " + readable + "/file", true},
		{"ls " + readable, true},
		{"echo x >> " + readable + "/file", false},
		{"rm " + readable + "/file", false},
		{readable + "/tool", false},
		{"cat " + writable + "/file", true},
		{"echo x > " + writable + "/new", true},
		{"mkdir " + writable + "/sub && ln " + writable + "/new " + writable + "/sub/", true},
		{"rm -r " + writable + "/sub", true},
		{writable + "/tool", false},
		{tools + "/tool", true},
		{"echo x > " + tools + "/new", false},
		{"cat " + closed + "/file", false},
		{"ls " + closed, false},
		{"ln -s " + closed + "/file " + writable + "/link && cat " + writable + "/link", false},
		{"ln " + readable + "/file " + writable + "/hard", false},
		{"echo x > /dev/null", true},
	} {
		res, err := runUnder(t, sandbox.Policy{Landlock: confined}, "sh", "-c", c.command)
		if (err == nil) != c.allowed {
			t.Errorf("%s: allowed %v, want %v (%v, %s)", c.command, err == nil, c.allowed, err, res.Output)
		}
	}
	if _, err := runUnder(t, sandbox.Policy{}, "sh", "-c", "cat "+closed+"/file"); err != nil {
		t.Errorf("without Landlock the file cannot be read either: %v", err)
	}
}

// A confined program neither signals nor looks into one that is not, be it the same user's.
func TestLandlockKeepsFromOtherProcesses(t *testing.T) {
	if abi := sandbox.LandlockABI(); abi < 6 {
		t.Fatalf("this kernel has version %d of Landlock; signals need 6 (Linux 6.12)", abi)
	}
	// It is confined too, but for Landlock: root with rights is out of reach of root without.
	argv, err := sandbox.Policy{}.Command([]string{"sleep", "1000"})
	if err != nil {
		t.Fatal(err)
	}
	victim, err := process.Start(testContext(t), process.Spec{Name: "victim", Argv: argv, Env: []string{"PATH=/usr/bin:/bin", "SECRET=hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := victim.Stop(testContext(t)); err != nil {
			t.Error(err)
		}
	})
	confined := sandbox.System()
	confined.Execute = append(confined.Execute, filepath.Dir(misbehaving(t)))
	for _, c := range []struct {
		policy  sandbox.Policy
		allowed bool
	}{{sandbox.Policy{Landlock: confined}, false}, {sandbox.Policy{}, true}} {
		for name, a := range attempts(t, c.policy, targets{pid: victim.PID()}) {
			if name != "signal" && name != "trace" && name != "environment" {
				continue
			}
			if a.Allowed != c.allowed {
				t.Errorf("%s: allowed %v, want %v (%s)", name, a.Allowed, c.allowed, a.Why)
			}
		}
	}
}

func TestLandlockNeedsWhatIsWritten(t *testing.T) {
	confined := sandbox.System()
	confined.ReadWrite = append(confined.ReadWrite, "/does/not/exist")
	res, _ := runUnder(t, sandbox.Policy{Landlock: confined}, "true")
	if res.ExitCode != 125 || !strings.Contains(res.Output, "popup: confine true: grant path: stat /does/not/exist: no such file") {
		t.Errorf("code %d: %s", res.ExitCode, res.Output)
	}
}

func TestSystemIsNotShared(t *testing.T) {
	first := sandbox.System()
	first.Execute = append(first.Execute, os.TempDir())
	first.Execute[0] = "/changed"
	if second := sandbox.System(); second.Execute[0] == "/changed" {
		t.Error("two policies share a list")
	}
}
