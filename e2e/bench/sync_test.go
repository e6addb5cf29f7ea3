package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// A scenario is what all contenders do in turn.
type scenario struct {
	title  string
	origin *origin
	url    string
	polls  int // how often to look while nothing changes; 0: once, after a change
	// settle is how many updates go by before one is measured: by then there are old
	// revisions that the next ones are made of.
	settle int
	clone  bool
	cold   bool
	kinds  []kind
}

// TestSync prints what polls, updates and clones cost. REPS is how often each is
// measured, OUT the document that gets the tables, GIT_SYNC a git-sync to measure.
func TestSync(t *testing.T) {
	full := os.Getenv("REPS") != ""
	reps, files, daysOf, polls, settle := count(t, "REPS", 1), 100, 4, 2, 1
	if full {
		files, daysOf, polls, settle = 20_000, 52, 20, 4
	}
	dir, trust := t.TempDir(), newCertificate(t)
	s := startServer(t, dir, trust)
	daily, large := days(t, dir, daysOf, settle+reps).relayed(t, s, dir), many(t, dir, files).relayed(t, s, dir)
	usage := buildUsage(t)
	kinds, extracting := contenders(usage), kind{name: "popup, archive extracted", open: residents("popup", "data/current", "BENCH_EXTRACT="+testutil.Tarball)}
	updating := append([]kind{kinds[0], extracting}, kinds[1:]...)
	r := &report{}
	for _, sc := range []scenario{
		{title: "No change, kept connection, http", origin: daily, url: s.Plain, polls: polls, kinds: kinds},
		{title: "No change, kept connection, https", origin: daily, url: s.TLS, polls: polls, kinds: kinds},
		{title: "No change, new TLS connection", origin: daily, url: s.TLS, polls: polls, cold: true, kinds: kinds},
		{title: fmt.Sprintf("One more day of %d", daysOf), origin: daily, url: s.Plain, settle: settle, kinds: updating},
		{title: fmt.Sprintf("10 of %d files changed", files), origin: large, url: s.Plain, settle: settle, kinds: kinds},
		{title: fmt.Sprintf("Clone of %d files", files), origin: large, url: s.Plain, clone: true, kinds: kinds},
	} {
		rows := sc.measure(t, s, reps, trust.trust())
		r.add(sc.title, rows)
		fmt.Fprint(r, "\n"+sc.aims(rows))
	}
	fmt.Fprintf(r, "\n%s, %s: `make bench-sync REPS=%d GIT_SYNC=git-sync`\n", machine(t), gitSyncVersion(t), reps)
	testutil.Publish(t, "bench-sync", r.String())
}

// contenders are popup, and those it is held against.
func contenders(usage string) []kind {
	kinds := []kind{
		{name: "popup", open: residents("popup", "data/current")},
		{name: "popup, relay", open: residents("popup", "data/current"), relay: true},
		{name: "git pull", open: gits(usage,
			func(url, dir string) [][]string { return [][]string{{"git", "clone", "-q", url, dir}} },
			func(string) [][]string { return [][]string{{"git", "pull", "-q"}} })},
		{name: "git fetch --depth 1", open: gits(usage,
			func(url, dir string) [][]string { return [][]string{{"git", "clone", "-q", "--depth", "1", url, dir}} },
			func(string) [][]string {
				return [][]string{{"git", "fetch", "-q", "--depth", "1", "origin", "main"}, {"git", "reset", "-q", "--hard", "FETCH_HEAD"}}
			})},
		{name: "go-git v5", open: residents("go-git", "copy")},
	}
	if program := os.Getenv("GIT_SYNC"); program != "" {
		kinds = append(kinds, kind{name: "git-sync", open: gitSyncs(program, usage)})
	}
	return kinds
}

// measure has all contenders do the same reps times, each time in another order.
func (sc scenario) measure(t *testing.T, s *server, reps int, trust []string) []*row {
	t.Helper()
	rows, running := make([]*row, len(sc.kinds)), make([]contender, len(sc.kinds))
	for i, k := range sc.kinds {
		rows[i] = &row{name: k.name}
		if !sc.clone {
			running[i] = sc.ready(t, k, sc.task(t, s, k, trust))
		}
	}
	for range sc.settle {
		sc.origin.advance()
		for i, c := range running {
			sc.must(t, c, rows[i].name)
		}
	}
	for rep := range reps {
		if sc.polls == 0 && !sc.clone {
			sc.origin.advance()
		}
		for n := range sc.kinds {
			i := (n + rep) % len(sc.kinds)
			if sc.clone {
				running[i] = sc.kinds[i].open(t, sc.task(t, s, sc.kinds[i], trust))
			}
			rows[i].samples = append(rows[i].samples, sc.once(t, s, running[i], sc.kinds[i]))
			if sc.clone {
				rows[i].ended(t, running[i])
			}
		}
	}
	if !sc.clone {
		for i, c := range running {
			rows[i].ended(t, c)
		}
	}
	return rows
}

// task is a new one for a contender of a kind.
func (sc scenario) task(t *testing.T, s *server, k kind, trust []string) task {
	t.Helper()
	of := task{url: sc.url + "/" + sc.origin.name, dir: t.TempDir(), env: trust}
	if sc.cold {
		of.rest = s.Rest
	}
	if k.relay {
		of.relay = relayOf(sc.url, sc.origin)
	}
	return of
}

// ready makes a contender's copy. A resident process that made one is replaced: it
// would be measured with the memory that it took.
func (sc scenario) ready(t *testing.T, k kind, of task) contender {
	t.Helper()
	c := k.open(t, of)
	sc.must(t, c, k.name)
	if _, ok := c.(*resident); ok {
		if _, err := c.end(); err != nil {
			t.Fatal(err)
		}
		c = k.open(t, of)
		sc.must(t, c, k.name)
	}
	return c
}

func (sc scenario) must(t *testing.T, c contender, name string) {
	t.Helper()
	if _, err := c.sync(t.Context(), 1); err != nil {
		t.Fatalf("%s: %s: %v", sc.title, name, err)
	}
	sc.current(t, c, name)
}

// once measures one contender, and makes sure that it has what is newest.
func (sc scenario) once(t *testing.T, s *server, c contender, k kind) sample {
	t.Helper()
	name, times := k.name, max(1, sc.polls)
	if _, ok := c.(*resident); ok && !sc.cold && sc.polls > 0 {
		times *= 5 // they are quick, and asking what it cost costs as well
	}
	before := s.cost(t)
	used, err := c.sync(t.Context(), times)
	if err != nil {
		t.Fatalf("%s: %s: %v", sc.title, name, err)
	}
	after := s.cost(t).minus(before)
	if after.Requests < int64(times) {
		t.Fatalf("%s: %s asked %d times, and not %d", sc.title, name, after.Requests, times)
	}
	sc.current(t, c, name)
	each, relay := float64(times), 0.0
	if k.relay {
		relay = after.Own.Seconds() * 1000 / each
	}
	return sample{
		client: used.CPU.Seconds() * 1000 / each, origin: after.Git.Seconds() * 1000 / each, relay: relay,
		requests: float64(after.Requests) / each, asked: float64(after.Asked) / each,
		down: float64(after.Down) / each, up: float64(after.Up) / each, peak: float64(used.Peak) / (1 << 20),
	}
}

func (sc scenario) current(t *testing.T, c contender, name string) {
	t.Helper()
	path, want := sc.origin.last.path, sc.origin.last.content
	got, err := os.ReadFile(filepath.Join(c.path(), path))
	if strings.Contains(name, "extracted") {
		got, err = extracted(c.path(), want)
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %s does not have the newest %s (%v)", sc.title, name, path, err)
	}
}

// extracted returns the archive when dir holds what tar makes of it.
func extracted(dir string, archive []byte) ([]byte, error) {
	compare := exec.Command("tar", "--compare", "-z", "-C", dir)
	compare.Stdin = bytes.NewReader(archive)
	out, err := compare.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Mode differs") && !strings.Contains(line, "Mod time differs") && !strings.Contains(line, "Uid differs") && !strings.Contains(line, "Gid differs") {
			return nil, fmt.Errorf("compare with the archive: %w: %s", err, line)
		}
	}
	return archive, nil
}

// machine says where it was measured, and of which commit.
func machine(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("Commit %s on %s cores, Linux %s, %s, %s", ask(t, "git", "rev-parse", "--short", "HEAD"), ask(t, "nproc"), ask(t, "uname", "-r"),
		ask(t, "git", "--version"), ask(t, "go", "env", "GOVERSION"))
}

func gitSyncVersion(t testing.TB) string {
	t.Helper()
	if program := os.Getenv("GIT_SYNC"); program != "" {
		return "git-sync " + ask(t, program, "--version")
	}
	return "no git-sync"
}

// ask returns what a program prints.
func ask(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("ask %v: %v", argv, err)
	}
	return strings.TrimSpace(string(out))
}
