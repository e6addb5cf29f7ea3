package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/datasync"
	"popup/internal/testutil"
)

// An origin is a bare repository with the branch main, as a server has one.
type origin struct {
	t    testing.TB
	dir  string
	name string
	next func(n int) map[string][]byte // what the n-th change writes
	made int
	// relay follows each change; nil: none does.
	relay *datasync.Relay
	// last is one file of the newest change, which who has it must show.
	last struct {
		path    string
		content []byte
	}
}

func newOrigin(t testing.TB, dir, name string, first map[string][]byte, next func(n int) map[string][]byte) *origin {
	t.Helper()
	o := &origin{t: t, dir: filepath.Join(dir, name), name: name, next: next}
	o.git(nil, "init", "-q", "--bare", "-b", "main", o.dir)
	o.commit(first, false)
	return o
}

// packed packs the repository, as servers do from time to time.
func (o *origin) packed() *origin {
	o.git(nil, "-C", o.dir, "gc", "-q")
	return o
}

// advance commits the next change.
func (o *origin) advance() {
	o.t.Helper()
	o.commit(o.next(o.made), true)
	o.made++
	o.publish()
}

func (o *origin) commit(files map[string][]byte, on bool) {
	o.t.Helper()
	var in bytes.Buffer
	fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Test <test@example.org> %d +0000\ndata 6\nchange\n", 1700000000+o.made)
	if on {
		fmt.Fprintf(&in, "from refs/heads/main^0\n")
	}
	for path, content := range files {
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
		o.last.path, o.last.content = path, content
	}
	o.git(&in, "-C", o.dir, "fast-import", "--quiet")
}

func (o *origin) git(in *bytes.Buffer, args ...string) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "git", args...)
	cmd.Env = environment()
	if in != nil {
		cmd.Stdin = in
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// days is the repository of the daily tarball, of which the last changes are still
// to come; each change is one more day.
func days(t testing.TB, dir string, count, changes int) *origin {
	t.Helper()
	all := testutil.Days(t, count)
	at := max(1, count-changes)
	file := func(n int) map[string][]byte {
		if at+n < len(all) {
			return map[string][]byte{testutil.Tarball: all[at+n].Tarball}
		}
		return map[string][]byte{testutil.Tarball: testutil.GeneratedDay(t, at+n).Tarball}
	}
	o := newOrigin(t, dir, "days", file(-at), file)
	for n := 1; n < at; n++ {
		o.commit(file(n-at), true)
	}
	return o.packed()
}

// many is a repository of count small files; each change is of ten of them, in ten folders.
func many(t testing.TB, dir string, count int) *origin {
	t.Helper()
	const folder = 100
	random := rand.New(rand.NewPCG(1, 2))
	path := func(i int) string { return fmt.Sprintf("part%03d/record%05d.txt", i/folder, i) }
	lines := func(i int) []byte {
		var text bytes.Buffer
		for range 10 + random.IntN(10) {
			fmt.Fprintf(&text, "record %d: %016x took %d ms\n", i, random.Uint64(), random.IntN(1000))
		}
		return text.Bytes()
	}
	files, contents := map[string][]byte{}, make([][]byte, count)
	for i := range count {
		contents[i] = lines(i)
		files[path(i)] = contents[i]
	}
	return newOrigin(t, dir, "many", files, func(n int) map[string][]byte {
		changed := map[string][]byte{}
		for k := range 10 {
			i := (k*count/10 + n) % count
			contents[i] = fmt.Appendf(contents[i], "change %d of record %d\n", n, i)
			changed[path(i)] = contents[i]
		}
		return changed
	}).packed()
}
