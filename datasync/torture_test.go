package datasync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"popup/internal/testutil"
	"popup/internal/testutil/faults"
	"popup/internal/wire"
)

func TestMain(m *testing.M) {
	faults.Shim()
	if dir := os.Getenv("TORTURE_DIR"); dir != "" {
		if err := onePass(dir, os.Getenv("TORTURE_URL"), os.Getenv("TORTURE_EXTRACT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// onePass is what an appliance does when its schedule says so.
func onePass(dir, url, extract string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	source, err := NewSource(wire.Source{URL: url}, SourceOptions{})
	if err != nil {
		return err
	}
	p, err := OpenPublisher(dir, PublisherOptions{Retain: 2, Linger: time.Nanosecond, Share: true})
	if err != nil {
		return err
	}
	s := NewSyncer(Config{Source: source, Publisher: p, Extract: extract})
	rev, changed, err := s.Stage(ctx)
	if err == nil && changed {
		err = s.Publish(rev)
	}
	return errors.Join(err, p.Prune(nil))
}

// A victim is a folder of revisions that is followed by processes which fail.
type victim struct {
	t             *testing.T
	repo          *testutil.GitRepo
	server        *testutil.GitServer
	template, dir string
	extract       string
	trees         map[Revision]map[string]string // what each revision holds
	newest        Revision
}

// newVictim has followed a repository for a while, so that there is a spare, and is
// one commit behind.
func newVictim(t *testing.T, extract string) *victim {
	t.Helper()
	v := &victim{t: t, repo: testutil.NewRepo(t), template: tempDir(t), extract: extract, trees: map[Revision]map[string]string{}}
	v.server = testutil.NewGitServer(t, filepath.Dir(v.repo.Dir))
	for n := range 5 {
		v.commit(n)
		v.dir = v.template
		if out, err := v.pass(nil); err != nil {
			t.Fatalf("prepare: %v: %s", err, out)
		}
	}
	v.commit(5)
	return v
}

// commit adds a revision in which some files changed, came and went, a large one among them.
func (v *victim) commit(n int) {
	v.t.Helper()
	files := map[string]string{"day": fmt.Sprint("day ", n), "same": "same", "d/same": strings.Repeat("same", 1000), "d/e/new": fmt.Sprint(n)}
	files[fmt.Sprint("only/", n)] = "x"
	big := rand.New(rand.NewPCG(1, uint64(n/2)))
	text := make([]byte, 1<<20+10)
	for i := range text {
		text[i] = byte(big.Uint32())
	}
	files["big"] = string(text)
	if v.extract != "" {
		var members []member
		for name, content := range files {
			members = append(members, file(name, content))
		}
		slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
		v.newest = Revision(v.repo.Commit(map[string]string{v.extract: string(tarOf(v.t, members...))}))
	} else {
		v.newest = Revision(v.repo.Commit(files))
		if n > 0 {
			v.repo.Git("rm", "-q", "--cached", fmt.Sprint("only/", n-1))
			v.newest = Revision(v.repo.CommitAll())
			files = v.tracked()
		}
	}
	v.trees[v.newest] = describe(files)
}

func (v *victim) tracked() map[string]string {
	files := map[string]string{}
	for _, name := range strings.Fields(v.repo.Git("ls-files")) {
		text, err := os.ReadFile(filepath.Join(v.repo.Dir, name))
		if err != nil {
			v.t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// pass runs one pass in a process of its own.
func (v *victim) pass(decide func(faults.Call) faults.Verdict) ([]byte, error) {
	v.t.Helper()
	self, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	env := []string{"TORTURE_DIR=" + v.dir, "TORTURE_URL=" + v.server.URL + "/" + filepath.Base(v.repo.Dir), "TORTURE_EXTRACT=" + v.extract}
	if decide != nil {
		return faults.Run(v.t.Context(), []string{self}, env, decide)
	}
	cmd := exec.CommandContext(v.t.Context(), self)
	cmd.Env = append(os.Environ(), env...)
	return cmd.CombinedOutput()
}

// again takes the folder back to where it was one commit behind.
func (v *victim) again() {
	v.t.Helper()
	v.dir = filepath.Join(tempDir(v.t), "victim")
	if out, err := exec.Command("cp", "-a", v.template, v.dir).CombinedOutput(); err != nil {
		v.t.Fatalf("copy: %v: %s", err, out)
	}
}

// whole looks at what a reader sees: every revision under its name is what it was.
func (v *victim) whole(what string) {
	v.t.Helper()
	for _, name := range names(v.t, v.dir) {
		want, ok := v.trees[Revision(name)]
		if !ok {
			continue
		}
		if diff := cmp.Diff(short(want), short(listing(v.t, filepath.Join(v.dir, name)))); diff != "" {
			v.t.Errorf("%s: %s is not whole: %s", what, name, diff)
		}
	}
	target, err := os.Readlink(filepath.Join(v.dir, currentName))
	if _, known := v.trees[Revision(target)]; err != nil || !known {
		v.t.Errorf("%s: current is %q, %v", what, target, err)
	}
}

// short keeps a difference readable.
func short(tree map[string]string) map[string]string {
	out := map[string]string{}
	for name, content := range tree {
		if len(content) > 100 {
			content = fmt.Sprint(content[:40], "…", len(content))
		}
		out[name] = content
	}
	return out
}

// converges wants the next pass, without faults, to bring the newest and leave nothing.
func (v *victim) converges(what string) {
	v.t.Helper()
	if out, err := v.pass(nil); err != nil {
		v.t.Errorf("%s: the next pass: %v: %s", what, err, out)
	}
	v.whole(what + ", and another pass")
	if target, _ := os.Readlink(filepath.Join(v.dir, currentName)); Revision(target) != v.newest {
		v.t.Errorf("%s: it did not converge: current is %q", what, target)
	}
	noLeftovers(v.t, v.dir)
}

// trials is how many points of each kind are tried: all of them, where N is larger.
func trials(t *testing.T, otherwise int) int {
	t.Helper()
	text := os.Getenv("N")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("N is %q; give a number of trials", text)
	}
	return n
}

// points are n of the numbers from 1 to count, spread evenly.
func points(count, n int) []int {
	var all []int
	for i := range min(n, count) {
		all = append(all, 1+(i*count+rand.IntN(count))/max(min(n, count), 1)%count)
	}
	return slices.Compact(all)
}

// Wherever a pass is killed, or the disk fills up for one write or from it on, every
// published revision is whole, and the next pass brings the newest.
func TestTortureAtEverySystemCall(t *testing.T) {
	for _, extract := range []string{"", "day.tar"} {
		v := newVictim(t, extract)
		counts := map[faults.Kind]int{}
		v.again()
		if out, err := v.pass(func(c faults.Call) faults.Verdict { counts[c.Kind] = c.N; return faults.Verdict{} }); err != nil {
			t.Fatalf("without faults: %v: %s", err, out)
		}
		v.converges("without faults")
		for _, f := range []struct {
			what    string
			kind    faults.Kind
			verdict faults.Verdict
			onwards bool
		}{
			{"killed", faults.Rename, faults.Verdict{Kill: true}, false},
			{"killed", faults.Sync, faults.Verdict{Kill: true}, false},
			{"killed", faults.NetRead, faults.Verdict{Kill: true}, false},
			{"killed", faults.Write, faults.Verdict{Kill: true}, false},
			{"no room for one", faults.Write, faults.Verdict{Errno: syscall.ENOSPC}, false},
			{"no room from", faults.Write, faults.Verdict{Errno: syscall.ENOSPC}, true},
			{"an I/O error at", faults.Sync, faults.Verdict{Errno: syscall.EIO}, false},
		} {
			t.Run(strings.ReplaceAll(fmt.Sprint(f.what, " ", f.kind, " ", extract), " ", "_"), func(t *testing.T) {
				if counts[f.kind] == 0 {
					t.Fatalf("a pass makes no %s", f.kind)
				}
				here := *v
				here.t = t
				for _, at := range points(counts[f.kind], trials(t, 4)) {
					what := fmt.Sprintf("%s %s %d of %d", f.what, f.kind, at, counts[f.kind])
					here.again()
					struck := false
					out, err := here.pass(func(c faults.Call) faults.Verdict {
						if c.Kind != f.kind || c.N != at && !(f.onwards && c.N > at) {
							return faults.Verdict{}
						}
						struck = true
						return f.verdict
					})
					if struck && err == nil && f.verdict.Kill {
						t.Errorf("%s: it went on: %s", what, out)
					}
					here.whole(what)
					here.converges(what)
				}
			})
		}
	}
}

// The same at random moments.
func TestTortureAtRandomMoments(t *testing.T) {
	v := newVictim(t, "")
	v.again()
	calls := 0
	if out, err := v.pass(func(faults.Call) faults.Verdict { calls++; return faults.Verdict{} }); err != nil {
		t.Fatalf("without faults: %v: %s", err, out)
	}
	for n := range trials(t, 10) {
		v.again()
		left := rand.IntN(calls)
		_, _ = v.pass(func(faults.Call) faults.Verdict { // it may have come to its end before
			left--
			return faults.Verdict{Kill: left < 0}
		})
		what := fmt.Sprint("trial ", n)
		v.whole(what)
		v.converges(what)
	}
}
