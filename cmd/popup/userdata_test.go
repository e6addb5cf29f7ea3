package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kdomanski/iso9660"
	"github.com/rogpeppe/go-internal/testscript"

	"popup/userdata"
)

// TestUserdata runs userdata as a person does.
func TestUserdata(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/userdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			env.Setenv("GIT_CONFIG_SYSTEM", "/dev/null")
			for _, who := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+who+"_NAME", "A")
				env.Setenv("GIT_"+who+"_EMAIL", "a@example.org")
			}
			env.Setenv("LONG", strings.Repeat("long ", 4000))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// The user-data is pinned to the executable that wrote it, which is this one.
func TestUserdataPinsThisExecutable(t *testing.T) {
	out, _ := mustRunPopup(t, "userdata", "notice", "--binary", "https://a.example/popup")
	sum, err := ownSum()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "sum="+sum) {
		t.Errorf("the user-data lacks the sum %s:\n%s", sum, out)
	}
	plan, err := userdata.Read([]byte(out))
	if err != nil || plan.Manifest.ID != "notice" {
		t.Errorf("read back %q, %v", plan.Manifest.ID, err)
	}
}

func TestSeedHoldsTheUserdata(t *testing.T) {
	image := filepath.Join(t.TempDir(), "seed.iso")
	args := []string{"notice", "--binary", "https://a.example/popup", "--until", "30d", "--gzip"}
	mustRunPopup(t, append([]string{"seed", "-o", image}, args...)...)
	info, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the seed is %v; it may hold secrets", info.Mode())
	}
	files := readISO(t, image)
	plan, err := userdata.Read([]byte(files["user-data"]))
	if err != nil || plan.Manifest.ID != "notice" || plan.End == nil {
		t.Errorf("the seed's user-data holds %+v, %v", plan, err)
	}
	first := files["meta-data"]
	if !strings.HasPrefix(first, "instance-id: popup-") || !strings.HasSuffix(first, "\nlocal-hostname: notice\n") {
		t.Errorf("meta-data %q", first)
	}
	if _, has := files["network-config"]; has {
		t.Error("the seed says something about the network")
	}

	mustRunPopup(t, append([]string{"seed", "-o", image, "--listen", ":8080"}, args...)...)
	if again := readISO(t, image)["meta-data"]; again == first {
		t.Error("another user-data has the same instance-id, so cloud-init would not run it")
	}
}

func TestSeedThatCannotBeWritten(t *testing.T) {
	var out, errs bytes.Buffer
	image := filepath.Join(t.TempDir(), "nowhere", "seed.iso")
	code := run(t.Context(), []string{"seed", "notice", "--binary", "https://a.example/popup", "-o", image}, &out, &errs)
	if code != exitFailed || !strings.Contains(errs.String(), "popup: write seed: ") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

func mustRunPopup(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, &out, &errs); code != exitDone {
		t.Fatalf("popup %v: exit code %d: %s", args, code, errs.String())
	}
	return out.String(), errs.String()
}

func readISO(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // only read
	image, err := iso9660.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	if label, err := image.Label(); err != nil || label != "cidata" {
		t.Errorf("the image is called %q (%v); cloud-init looks for cidata", label, err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	children, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range children {
		text, err := io.ReadAll(f.Reader())
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name()] = string(text)
	}
	return files
}
