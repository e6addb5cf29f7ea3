package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A folderCloud keeps its machines as files, so that they outlive the console. Each is
// named after its instance and something new, so that one that is launched twice shows.
type folderCloud struct {
	dir string
	mu  sync.Mutex
}

func (f *folderCloud) Check(context.Context, Launch) error { return nil }

func (f *folderCloud) Launch(ctx context.Context, l Launch) (Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	there, err := f.of(l.Instance)
	if err != nil || len(there) > 0 {
		return Machine{Instance: l.Instance, ID: strings.Join(there, "+"), State: MachineRunning}, err
	}
	id := l.Instance + "." + newID(8)
	if err := os.WriteFile(filepath.Join(f.dir, id), l.UserData, 0o600); err != nil {
		return Machine{}, err
	}
	// Its answer takes a moment, so that some kills come between machine and answer.
	select {
	case <-time.After(rand.N(20 * time.Millisecond)):
	case <-ctx.Done():
	}
	return Machine{Instance: l.Instance, ID: id, State: MachineRunning, Launched: time.Now()}, nil
}

// of are the machines of an instance.
func (f *folderCloud) of(instance string) (ids []string, err error) {
	all, err := os.ReadDir(f.dir)
	for _, entry := range all {
		if name, _, _ := strings.Cut(entry.Name(), "."); name == instance {
			ids = append(ids, entry.Name())
		}
	}
	return ids, err
}

func (f *folderCloud) Machines(context.Context) (machines []Machine, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := os.ReadDir(f.dir)
	for _, entry := range all {
		name, _, _ := strings.Cut(entry.Name(), ".")
		machines = append(machines, Machine{Instance: name, ID: entry.Name(), State: MachineRunning})
	}
	return machines, err
}

func (f *folderCloud) Terminate(_ context.Context, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids, err := f.of(instance)
	for _, id := range ids {
		if err := os.Remove(filepath.Join(f.dir, id)); err != nil {
			return err
		}
	}
	return err
}

// consoleIn is a console whose store, keys and cloud are in a folder. Its clock is the system's.
func consoleIn(t *testing.T, dir string) (*testConsole, *folderCloud) {
	t.Helper()
	store, err := OpenStore(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := OpenKeys(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	cloud := &folderCloud{dir: filepath.Join(dir, "cloud")}
	if err := os.MkdirAll(cloud.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := newConsole(t, func(o *Options) {
		o.Store, o.Keys, o.Clouds, o.Now = store, keys, map[string]Cloud{"local": cloud}, time.Now
	})
	return c, cloud
}

const killFolder = "POPUP_TEST_KILL_FOLDER"

// TestKilledConsole is the console that TestKill kills. It does what it is told on
// standard input, and acknowledges it on standard output.
func TestKilledConsole(t *testing.T) {
	dir := os.Getenv(killFolder)
	if dir == "" {
		t.Skip("it is started by TestKill")
	}
	c, _ := consoleIn(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() { _ = c.reconcile(ctx) })
	defer loop.Wait()
	defer cancel()
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		verb, what, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "launch":
			r := LaunchRequest{Event: EventRequest{Title: what, End: "7d"}, Apps: []AppRequest{{App: "guestbook"}, {App: "notice", Count: 2}}}
			o, err := c.Launch(ctx, anOwner, r, what)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("launched", what, o.ID, strings.Join(o.Instances, ","))
		case "end":
			if _, err := c.EndEvent(ctx, anOwner, what, what); err != nil && !strings.Contains(err.Error(), "cannot be ended") {
				t.Fatal(err)
			}
			fmt.Println("ended", what)
		}
	}
}

// A killing has a console do things, and kills it.
type killing struct {
	dir      string
	doing    []string            // what was told and not acknowledged; told again
	launched map[string][]string // acknowledged: operation and instances, by key
	ended    map[string]bool
	number   int
}

// next is what the console is told.
func (k *killing) next() string {
	if len(k.doing) > 0 {
		return k.doing[0]
	}
	k.number++
	key := "event-" + strconv.Itoa(k.number)
	k.doing = []string{"launch " + key}
	if k.number%3 == 0 {
		k.doing = append(k.doing, "end "+key)
	}
	return k.doing[0]
}

// acknowledged takes in a line of the console's.
func (k *killing) acknowledged(t *testing.T, line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 4 && words[0] == "launched":
		k.launched[words[1]] = words[2:]
	case len(words) == 2 && words[0] == "ended":
		k.ended[words[1]] = true
	default:
		t.Fatalf("the console says %q", line)
	}
	k.doing = k.doing[1:]
}

// round starts a console and kills it a while after it was started, or was ready: how
// long it takes from the one to the other is the machine's business.
func (k *killing) round(t *testing.T, after time.Duration, ready bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledConsole$")
	cmd.Env = append(os.Environ(), killFolder+"="+k.dir, "TMPDIR="+k.dir) // what it leaves goes with the rest
	var says strings.Builder
	cmd.Stderr = &says
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if ready {
		kill.Reset(time.Minute)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // what is not a whole line was not acknowledged
			break
		}
		if line != "ready\n" {
			k.acknowledged(t, line)
		} else if ready {
			kill.Reset(after)
		}
		if _, err := io.WriteString(in, k.next()+"\n"); err != nil {
			break
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the console ended by itself: %v\n%s", err, says.String())
	}
}

// tells says whether enough came through to tell anything.
func (k *killing) tells(rounds int) bool {
	return len(k.launched) >= rounds/3 && (rounds < 15 || len(k.ended) > 0)
}

// TestKill kills a console at random moments while it launches and ends. Whatever it
// acknowledged is there afterwards, and each instance that is wanted has one machine.
func TestKill(t *testing.T) {
	rounds := 15
	if n, err := strconv.Atoi(os.Getenv("POPUP_TEST_KILLS")); err == nil {
		rounds = n
	}
	k := &killing{dir: t.TempDir(), launched: map[string][]string{}, ended: map[string]bool{}}
	for n := 0; n < rounds || !k.tells(rounds); n++ {
		if n > 10*rounds {
			t.Fatalf("only %d launches and %d ends came through; that tells nothing", len(k.launched), len(k.ended))
		}
		k.round(t, 50*time.Millisecond+rand.N(900*time.Millisecond), n%3 > 0)
	}
	c, cloud := consoleIn(t, k.dir)
	l := &living{c, newReconciler(c.Console)}
	c.now = func() time.Time { return time.Now().Add(mayBeLive) } // what never enrolled could have been heard of by then
	l.settle(t)
	t.Logf("%d kills: %d launches and %d ends acknowledged", rounds, len(k.launched), len(k.ended))
	k.checkAcknowledged(t, c)
	checkMachines(t, c, cloud)
	if err := VerifyAudit(t.Context(), c.store); err != nil {
		t.Error(err)
	}
}

func (k *killing) checkAcknowledged(t *testing.T, c *testConsole) {
	t.Helper()
	for key, was := range k.launched {
		o := stored[Operation](t, c, was[0])
		if got := strings.Join(o.Instances, ","); got != was[1] {
			t.Errorf("%s has the instances %s, and %s were acknowledged", key, got, was[1])
		}
		if e := stored[Event](t, c, o.Event); k.ended[e.Name] && e.State != EventArchived {
			t.Errorf("%s was ended, and is %s: %s", key, e.State, e.Stuck)
		} else if e.Name != key {
			t.Errorf("%s was made twice: it is %s now", key, e.Name)
		}
	}
	var launches int
	err := c.store.View(t.Context(), func(tx Tx) error {
		events, err := list[Event](tx, Query{})
		if err != nil || len(events) != k.number && len(events) != k.number-1 { // the last may not have been told
			t.Errorf("%d events for %d launches, %v", len(events), k.number, err)
		}
		for before := int64(0); ; {
			page, err := tx.AuditLog(before, 0)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if e.Action == verbLaunch {
					launches++
				}
			}
			before = page[len(page)-1].Seq
		}
	})
	if err != nil || launches != k.number && launches != k.number-1 {
		t.Errorf("the audit log has %d launches for %d, %v", launches, k.number, err)
	}
}

// checkMachines holds every instance against what the cloud has.
func checkMachines(t *testing.T, c *testConsole, cloud *folderCloud) {
	t.Helper()
	machines, err := cloud.Machines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]int{}
	for _, m := range machines {
		has[m.Instance]++
	}
	var all []Instance
	if err := c.store.View(t.Context(), func(tx Tx) (err error) { all, err = list[Instance](tx, Query{}); return err }); err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		want := 1
		if i.State.Over() {
			want = 0
		}
		if has[i.ID] != want || want == 1 && !slices.Contains([]InstanceState{InstanceStarting, InstanceLive}, i.State) {
			t.Errorf("%s is %s and has %d machines: %s", i.ID, i.State, has[i.ID], i.Failure)
		}
		delete(has, i.ID)
	}
	for id := range has {
		t.Errorf("the machine of %s belongs to no instance", id)
	}
	t.Logf("%d instances, %d machines", len(all), len(machines))
}
