package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPublish runs publish as a person does.
func TestPublish(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/publish",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			env.Setenv("GIT_CONFIG_SYSTEM", "/dev/null")
			env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/cache")
			for _, who := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+who+"_NAME", "A")
				env.Setenv("GIT_"+who+"_EMAIL", "a@example.org")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// With --every it goes on until it is told to stop, which is no failure.
func TestPublishUntilToldToStop(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "notice.txt"), []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	out := &firstLine{told: stop}
	var errs bytes.Buffer
	code := run(ctx, []string{"publish", from, "--to", to, "--work", t.TempDir(), "--every", "1h"}, out, &errs)
	if code != exitDone || !strings.HasPrefix(out.String(), "published tree-") {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
	text, err := os.ReadFile(filepath.Join(to, "head.json"))
	if err != nil || !strings.Contains(string(text), `"period":3600`) {
		t.Errorf("%s, %v; want that it tells its period", text, err)
	}
}

// A firstLine says when something was written.
type firstLine struct {
	bytes.Buffer
	told func()
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.told()
	return f.Buffer.Write(p)
}
