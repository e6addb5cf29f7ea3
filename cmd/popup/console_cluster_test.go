package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"popup/web/api"
)

// TestClusterIsRefused: what cannot be is said in a sentence, and nothing is made.
func TestClusterIsRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := func(name string, folders ...string) string {
		for _, folder := range append(folders, "") {
			if err := os.MkdirAll(filepath.Join(root, name, folder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return filepath.Join(root, name)
	}
	empty := filepath.Join(root, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none, alone, left, begun := dir("none"), dir("alone", "store"), dir("left", "cluster.left-1"), dir("begun", "cluster")
	const token = "popup-cluster-x"
	at := func(dir string, more ...string) []string {
		return append([]string{"--data-dir", dir, "--listen", "127.0.0.1:0"}, more...)
	}
	member := []string{"--cluster-address", "127.0.0.1:9000", "--cloud", "manual"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{at(none, "--cluster-address", "127.0.0.1:9000"), "--cloud local keeps its machines on the machine of one console"},
		{at(none, "--cluster-address", "127.0.0.1:9000", "--cloud", "ec2", "--cloud", "vm"), "--cloud vm keeps"},
		{at(none, "--cluster-address", "127.0.0.1:9000", "--cloud", "container"), "--cloud container keeps"},
		{at(none, append(member, "--domain", "console.example")...), "--domain: where consoles keep a store together"},
		{at(begun), "--cloud local keeps"}, // it is one of several, whether that is said again or not
		{at(begun, "--cloud", "manual"), "was begun and not finished: give --cluster-address again"},
		{at(none, "--join", token), "say with --cluster-address"},
		{at(none, append(member, "--join", filepath.Join(root, "nosuch"))...), "neither a token nor a file that can be read"},
		{at(none, append(member, "--join", empty)...), "--join " + empty + ": there is no token in it"},
		{at(none, append(member, "--join", "")...), "--join: there is no token in it"},
		{at(none, "--join", ""), "--join: say with --cluster-address"},
		{at(alone, append(member, "--join", token)...), "there is a store in " + alone + "/store already"},
		{at(left, "--cloud", "manual"), "left its cluster, and keeps nothing any more: let it join with --join"},
		{at(left, member...), "left its cluster"},
		{at(none, member...), "built without dqlite"},
		{at(none, append(member, "--join", token)...), "built without dqlite"},
		{[]string{"cluster", "--data-dir", none}, "no console runs on " + none},
		{[]string{"cluster-token", "--data-dir", none}, "no console runs on " + none},
		{[]string{"cluster", "leave", "--data-dir", none}, "no console runs on " + none},
		{[]string{"cluster", "remove", "127.0.0.1:9000", "--data-dir", none}, "no console runs on " + none},
	} {
		if withEngine && strings.Contains(c.says, "without dqlite") {
			continue
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"console"}, c.args...), &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%q exits %d and says %q, want it to say %q", c.args, code, stderr.String(), c.says)
		}
	}
	if made, err := os.ReadDir(filepath.Join(none, "cluster")); err == nil {
		t.Errorf("%v was made all the same", made)
	}
}

// TestATokenIsTakenFromWhereItIs: as it is, of a file, or of the environment.
func TestATokenIsTakenFromWhereItIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("popup-cluster-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(joinEnv, "popup-cluster-env")
	for _, c := range []struct {
		args   []string
		joined bool
		want   string
	}{
		{[]string{"--join", "popup-cluster-flag"}, false, "popup-cluster-flag"},
		{[]string{"--join", file}, false, "popup-cluster-file"},
		{nil, false, "popup-cluster-env"},
		{[]string{"--join", file + "gone"}, true, ""}, // it was used, and removed
		{[]string{"--join", ""}, true, ""},
	} {
		if got, err := joining(t, c.args...).token(c.joined); err != nil || got != c.want {
			t.Errorf("%q gives %q, %v, want %q", c.args, got, err, c.want)
		}
	}
}

// TestTheEnvironmentSaysToJoin as the flag does: empty, or without an address, it is refused.
func TestTheEnvironmentSaysToJoin(t *testing.T) {
	t.Setenv(joinEnv, "")
	_, err := joining(t).token(false)
	if err == nil || !strings.HasPrefix(err.Error(), "$"+joinEnv+": there is no token in it") {
		t.Errorf("an empty one is taken for none: %v", err)
	}
	if token, err := joining(t).token(true); token != "" || err != nil {
		t.Errorf("who joined already is asked again: %q, %v", token, err)
	}
	t.Setenv(joinEnv, "popup-cluster-env")
	err = joining(t).check(consoleFolder{t.TempDir()}, []string{"manual"}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "$"+joinEnv+": say with --cluster-address") {
		t.Errorf("a console is started alone that should have joined others: %v", err)
	}
}

// joining are the flags of a command line.
func joining(t *testing.T, args ...string) (c clusterFlags) {
	t.Helper()
	flags := pflag.NewFlagSet("console", pflag.ContinueOnError)
	c.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBackupsAloneAreSaid where there are any, in the last line.
func TestBackupsAloneAreSaid(t *testing.T) {
	t.Parallel()
	for alone, want := range map[int]string{0: "tolerates one failure\n", 2: "tolerates one failure\nbackups that are on this console alone: 2\n"} {
		var out strings.Builder
		if printCluster(&out, api.Cluster{Says: "tolerates one failure", BackupsAlone: alone}); out.String() != want {
			t.Errorf("of %d it says %q, want %q", alone, out.String(), want)
		}
	}
}

// TestWhatIsHanded comes to its place, and replaces nothing.
func TestWhatIsHanded(t *testing.T) {
	t.Parallel()
	from, to := consoleFolder{t.TempDir()}, consoleFolder{t.TempDir()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(from.secrets(), []byte("secret"), 0o600))
	check(os.MkdirAll(from.tls(), 0o700))
	check(os.WriteFile(filepath.Join(from.tls(), "own.key"), []byte("key"), 0o600))
	files, err := from.give()
	check(err)
	for range 2 { // it may have been killed in between
		check(to.take(files))
	}
	for name, want := range map[string]string{to.secrets(): "secret", filepath.Join(to.tls(), "own.key"): "key"} {
		text, err := os.ReadFile(name)
		check(err)
		if info, err := os.Stat(name); err != nil || string(text) != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %q, %v, %v", name, text, info, err)
		}
	}
	files["secrets.key"] = []byte("another")
	if err := to.take(files); err == nil || !strings.Contains(err.Error(), "is of another console") {
		t.Errorf("what is there is replaced: %v", err)
	}
	files["../outside"] = []byte("x")
	delete(files, "secrets.key")
	check(to.take(files))
	if _, err := os.Stat(filepath.Join(to.dir, "..", "outside")); err == nil {
		t.Error("a file came to where nobody asked for it")
	}
}
