package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRunTellsOutputAndStatus(t *testing.T) {
	res, err := Run(testContext(t), script(t, `echo out; echo err >&2; exit 7`))
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 7 || res.ExitCode != 7 {
		t.Errorf("error %v and code %d, want status 7", err, res.ExitCode)
	}
	if res.Output != "out\nerr\n" {
		t.Errorf("output %q", res.Output)
	}
}

func TestRunKillsChildrenWhenItsTimeIsOver(t *testing.T) {
	spec := script(t, `trap '' TERM; (trap '' TERM; echo begun; sleep 1000) & echo $! > child; wait`)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	res, err := Run(ctx, spec)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "app did not end in time: ") {
		t.Errorf("error is %v, want that it did not end in time", err)
	}
	if took := time.Since(began); took > defaultGrace/2 {
		t.Errorf("it took %s, as if children were waited for", took)
	}
	if res.Output != "begun\n" {
		t.Errorf("output %q", res.Output)
	}
	if running(readPID(t, filepath.Join(spec.Dir, "child"))) {
		t.Error("a child outlived the time-out")
	}
}

func TestRunSaysWhyAProgramCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "#!/bin/sh\n", 0o644)
	write("garbage", "\x01\x02\x03", 0o755)
	write("lost", "#!/does/not/exist\n", 0o755)
	write("tool", "#!/bin/sh\necho the tool\n", 0o755)
	for program, want := range map[string]struct {
		code int
		text string
	}{
		"nowhere":     {127, "nowhere: no such program in " + dir + ":; list its package under packages in app.yaml"},
		"./nowhere":   {127, "./nowhere: no such program; check the path"},
		"./lost":      {127, "./lost names an interpreter in its first line"},
		"./plain":     {126, "./plain may not be run by this user; make it executable"},
		"plain":       {126, dir + "/plain may not be run by this user"},
		".":           {127, ".: no such program"},
		"./":          {126, "./ is a folder, not a program"},
		"./garbage":   {126, "./garbage is neither a program for this machine nor a script"},
		"tool":        {0, "the tool"},
		"/etc/passwd": {126, "/etc/passwd may not be run by this user"},
	} {
		res, err := Run(testContext(t), Spec{Name: "app", Argv: []string{program}, Dir: dir, Env: []string{"PATH=" + dir + ":"}})
		if res.ExitCode != want.code || !strings.Contains(res.Output, want.text) {
			t.Errorf("%s: code %d, %q, %v; want code %d and %q", program, res.ExitCode, res.Output, err, want.code, want.text)
		}
	}
}

func TestTooLargeAnEnvironmentIsSaid(t *testing.T) {
	spec := script(t, `true`)
	spec.Env = append(spec.Env, "LARGE="+strings.Repeat("x", 256<<10))
	res, _ := Run(testContext(t), spec)
	if res.ExitCode != 126 || !strings.Contains(res.Output, "its arguments and settings are larger than a program can be given") {
		t.Errorf("code %d: %q", res.ExitCode, res.Output)
	}
}

// A program that prints without end neither fills memory nor stands still.
func TestOutputIsBounded(t *testing.T) {
	var all counter
	spec := script(t, `head -c 20000000 /dev/zero | tr '\0' 'x' | fold -w 99; echo; echo the end`)
	spec.Output = &all
	res, err := Run(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(res.Output, "\nthe end\n") {
		t.Errorf("the output ends %q", res.Output[max(0, len(res.Output)-50):])
	}
	if len(res.Output) > tailSize || len(res.Output) < tailSize-200 {
		t.Errorf("%d bytes were kept", len(res.Output))
	}
	if first, _, _ := strings.Cut(res.Output, "\n"); len(first) != 99 {
		t.Errorf("the first line kept is cut: %d characters", len(first))
	}
	if all.n < 20000000 {
		t.Errorf("the writer was given %d bytes", all.n)
	}
}

func TestAWriterThatFailsDoesNotEndTheProgram(t *testing.T) {
	spec := script(t, `for i in 1 2 3; do echo $i; sleep 0.01; done`)
	failing := &counter{err: errors.New("disk full")}
	spec.Output = failing
	res, err := Run(testContext(t), spec)
	if err != nil || res.Output != "1\n2\n3\n" {
		t.Errorf("output %q, %v", res.Output, err)
	}
	if failing.calls != 1 {
		t.Errorf("the writer was called %d times after its error", failing.calls-1)
	}
}

type counter struct {
	n, calls int
	err      error
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	c.calls++
	return len(p), c.err
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 3*tailSize)
	for _, c := range []struct {
		name, want string
		writes     []string
	}{
		{"nothing", "", nil},
		{"little", "a\nb", []string{"a\n", "b"}},
		{"not text", "a\uFFFDb\n", []string{"a\xffb\n"}},
		{"one long line", long[:tailSize], []string{long}},
		{"a line after a long one", "end\n", []string{long, "\nend\n"}},
		{"cut within a line", "kept\n", []string{"dropped " + long[:2*tailSize-1], "\nkept\n"}},
	} {
		var tl tail
		for _, w := range c.writes {
			if n, err := tl.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%s: Write = %d, %v", c.name, n, err)
			}
		}
		if got := tl.String(); got != c.want {
			t.Errorf("%s: %d bytes %.20q, want %.20q", c.name, len(got), got, c.want)
		}
		if cap(tl.kept) > 8*tailSize {
			t.Errorf("%s: holds %d bytes", c.name, cap(tl.kept))
		}
	}
	var many tail
	for range 100 {
		_, _ = many.Write([]byte(long[:tailSize/2]))
	}
	if cap(many.kept) > 8*tailSize || len(many.String()) != tailSize {
		t.Errorf("many writes: holds %d bytes and tells %d", cap(many.kept), len(many.String()))
	}
	var sealed tail
	sealed.seal()
	if _, err := sealed.Write([]byte("x")); err != nil || len(sealed.kept) > 0 {
		t.Error("written to after it was sealed")
	}
}
