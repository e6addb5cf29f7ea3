//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/store"
)

const testURL = "https://console.test"

var handed = map[string][]byte{"secrets.key": []byte("secret")}

// newMember is a folder and an address for a node that is to come.
func newMember(t testing.TB) Options {
	o := options(t, authority(t))
	o.Dir, o.Identity = filepath.Join(t.TempDir(), "cluster"), Identity{}
	return o
}

// grown opens the node of a folder as a console does, and lets others join.
func grown(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Grow(waiting(t), o, filepath.Join(filepath.Dir(o.Dir), "store"))
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	check(t, c.Admit(waiting(t), Host{URL: testURL, Version: "v1", Files: func() (map[string][]byte, error) { return handed, nil }}))
	return c
}

func tokenOf(t testing.TB, c *Cluster) string {
	t.Helper()
	line, err := c.Token(waiting(t), time.Hour)
	check(t, err)
	return line
}

func joining(line string) Joining {
	return Joining{Token: line, URL: testURL, Version: "v1", Take: func(map[string][]byte) error { return nil }}
}

// joined is a new member of a cluster.
func joined(t testing.TB, c *Cluster) (Options, *Cluster) {
	t.Helper()
	o := newMember(t)
	check(t, Join(waiting(t), o, joining(tokenOf(t, c))))
	return o, grown(t, o)
}

func actions(t testing.TB, s console.Store) (all []string) {
	t.Helper()
	check(t, s.View(waiting(t), func(tx console.Tx) error {
		log, err := tx.AuditLog(0, 0)
		for _, e := range log {
			all = append(all, e.Action)
		}
		slices.Reverse(all)
		return err
	}))
	return all
}

// until waits for a state that will do.
func until(t testing.TB, c *Cluster, want string, does func(console.ClusterState) bool) console.ClusterState {
	t.Helper()
	ctx := waiting(t)
	for {
		s, err := c.State(ctx)
		if err == nil && does(s) {
			return s
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the state is %+v, %v, want %s", s, err, want)
		}
	}
}

func memberAt(s console.ClusterState, address string) console.Member {
	for _, m := range s.Members {
		if m.Address == address {
			return m
		}
	}
	return console.Member{}
}

// TestThreeJoinAndLeave is the life of a cluster: one, three, one lost and replaced, one
// that leaves.
func TestThreeJoinAndLeave(t *testing.T) {
	t.Parallel()
	o := newMember(t)
	first := grown(t, o)
	if s, err := first.State(waiting(t)); err != nil || s.Tolerates != 0 || !strings.Contains(s.Why, "only console") {
		t.Errorf("alone it is %+v, %v", s, err)
	}
	_, second := joined(t, first)
	if s, err := first.State(waiting(t)); err != nil || s.Tolerates != 0 || !strings.Contains(s.Why, "a third") {
		t.Errorf("two are %+v, %v", s, err)
	}
	third := newMember(t)
	var got map[string][]byte
	j := joining(tokenOf(t, second)) // any member lets others in
	j.Take = func(files map[string][]byte) error { got = files; return nil }
	check(t, Join(waiting(t), third, j))
	if !maps.EqualFunc(got, handed, slices.Equal) {
		t.Errorf("it is handed %q", got)
	}
	began := time.Now()
	c, err := Grow(waiting(t), third, filepath.Join(t.TempDir(), "none"))
	check(t, err)
	until(t, first, "what says that it is too early", func(s console.ClusterState) bool { return strings.Contains(s.Why, "wait until it is 10 s") })
	s := until(t, first, "one that tolerates a failure", func(s console.ClusterState) bool { return s.Tolerates == 1 })
	if took := time.Since(began); took < stableTime || s.String() != "tolerates one failure" {
		t.Errorf("%q after %v", s, took)
	}
	if len(s.Members) != 3 || memberAt(s, o.Address).Version != "v1" || !memberAt(s, o.Address).Self || memberAt(s, o.Address).Behind < 0 {
		t.Errorf("the members are %+v", s.Members)
	}

	// Once it is in, the token counts no more.
	check(t, c.Close())
	check(t, Join(waiting(t), third, j))
	says(t, Join(waiting(t), third, joining(tokenOf(t, grown(t, newMember(t))))), "of another cluster than the token")
	says(t, second.Remove(waiting(t), third.Address+"0"), "no such console", o.Address)
	says(t, first.Remove(waiting(t), o.Address), "popup console cluster leave")
	says(t, first.Remove(waiting(t), secondOf(s, o.Address, third.Address)), "it answers")
	until(t, first, "one that does not answer", func(s console.ClusterState) bool { return strings.Contains(s.Why, third.Address+" does not answer") })
	check(t, first.Remove(waiting(t), third.Address))
	_, err = Grow(waiting(t), third, filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, errGone) {
		t.Errorf("one that was removed comes back: %v", err)
	}

	// Another one takes its place, at its address.
	check(t, os.RemoveAll(third.Dir))
	check(t, Join(waiting(t), third, joining(tokenOf(t, first))))
	c = grown(t, third)
	until(t, c, "three that vote", func(s console.ClusterState) bool { return strings.Contains(s.Why, "wait until") })
	check(t, first.Leave(waiting(t)))
	select {
	case <-first.Left():
	default:
		t.Error("it left and does not say so")
	}
	check(t, first.Close())
	if kept, err := filepath.Glob(o.Dir + leftSuffix + "*"); err != nil || len(kept) != 1 {
		t.Errorf("what left is kept at %v, %v", kept, err)
	}
	if s, err := c.State(waiting(t)); err != nil || len(s.Members) != 2 || s.Tolerates != 0 {
		t.Errorf("two that are left are %+v, %v", s, err)
	}
	check(t, write(waiting(t), c, "after"))
	want := []string{"make cluster token", "join cluster", "make cluster token", "join cluster", "remove from cluster", "make cluster token", "join cluster", "leave cluster"}
	if is := actions(t, c); !slices.Equal(is, want) {
		t.Errorf("the audit log says %q", is)
	}
	if _, err := store.VerifyAudit(waiting(t), c); err != nil {
		t.Error(err)
	}
}

func secondOf(s console.ClusterState, others ...string) string {
	for _, m := range s.Members {
		if !slices.Contains(others, m.Address) {
			return m.Address
		}
	}
	return ""
}

// TestWhoIsNotLetIn: each is told why in a sentence, and the cluster is as it was.
func TestWhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	o := newMember(t)
	c := grown(t, o)
	other := grown(t, newMember(t))
	used := tokenOf(t, c)
	in := newMember(t)
	check(t, Join(waiting(t), in, joining(used)))
	over, err := c.Token(waiting(t), time.Millisecond)
	check(t, err)
	_, err = c.Token(waiting(t), -time.Hour)
	says(t, err, "at most a week")
	strange, err := parseToken(tokenOf(t, other))
	check(t, err)
	elsewhere := strange
	elsewhere.Addresses = []string{o.Address} // where another cluster answers
	nobody := strange
	nobody.Addresses = []string{freeAddress(), "nosuch.invalid:1"}
	mine, err := parseToken(used)
	check(t, err)
	mine.Secret = strange.Secret
	for name, test := range map[string]struct {
		token  string
		change func(*Options, *Joining)
		want   string
	}{
		"no token":           {"hello", nil, "no token to join with"},
		"a token cut off":    {used[:len(used)-3], nil, "cut off or changed"},
		"a token changed":    {strings.Replace(used, used[40:42], "AA", 1), nil, "cut off or changed"},
		"a wrong secret":     {mine.String(), nil, "nobody made this token here"},
		"used":               {used, nil, "used already"},
		"over":               {over, nil, "held until"},
		"of another cluster": {elsewhere.String(), nil, "is not of the cluster that the token was made by"},
		"nobody there":       {nobody.String(), nil, "no console of the token's cluster let this one in"},
		"another URL":        {"", func(_ *Options, j *Joining) { j.URL = "https://other.test" }, "start this one with --url " + testURL},
		"an address taken":   {"", func(o *Options, _ *Joining) { o.Address, o.Listen = c.address(), "127.0.0.1:0" }, "already: where that one is lost"},
		"an unknown host":    {"", func(o *Options, _ *Joining) { o.Address = "nosuch.invalid:9000" }, "leads nowhere"},
		"no address of ours": {"", func(o *Options, _ *Joining) { o.Address = "192.0.2.1:9000" }, "listen on 192.0.2.1:9000"},
		"not reached":        {"", func(o *Options, _ *Joining) { o.Listen = "127.0.0.1:0" }, "it is not reached from here"},
		"no address":         {"", func(o *Options, _ *Joining) { o.Address = "here" }, "no address of a node"},
		"nowhere to keep it": {"", func(_ *Options, j *Joining) {
			j.Take = func(map[string][]byte) error { return errors.New("disk full") }
		}, "disk full"},
	} {
		to, j := newMember(t), joining(test.token)
		if test.token == "" {
			j = joining(tokenOf(t, c))
		}
		if test.change != nil {
			test.change(&to, &j)
		}
		if err := Join(waiting(t), to, j); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		} else {
			t.Logf("%s: %v", name, err)
		}
		if _, err := os.Stat(to.Dir); err == nil {
			t.Errorf("%s: a folder is made all the same", name)
		}
	}
	if s, err := c.State(waiting(t)); err != nil || len(s.Members) != 1 {
		t.Errorf("the cluster is %+v, %v", s, err)
	}
}

func (c *Cluster) address() string { return c.engine.(*running).node.link.address }

// TestOfTwoWithOneTokenOneGetsIn, and may come again with its key.
func TestOfTwoWithOneTokenOneGetsIn(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	line := tokenOf(t, c)
	var all sync.WaitGroup
	errs := make([]error, 2)
	members := []Options{newMember(t), newMember(t)}
	killed := errors.New("killed")
	for i, o := range members {
		j := joining(line)
		j.Take = func(map[string][]byte) error { return killed }
		ctx := waiting(t)
		all.Go(func() { errs[i] = Join(ctx, o, j) })
	}
	all.Wait()
	in := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, killed) })
	if in < 0 || errs[1-in] == nil || !strings.Contains(errs[1-in].Error(), "used already") {
		t.Fatalf("two join with one token: %v", errs)
	}
	check(t, Join(waiting(t), members[in], joining(line)))
	says(t, Join(waiting(t), members[1-in], joining(line)), "used already")
	grown(t, members[in])
	if is := actions(t, c); !slices.Equal(is, []string{"make cluster token", "join cluster"}) {
		t.Errorf("the audit log says %q", is)
	}
}

// TestANodeIsKilledWhileItJoins, at the moments after which the engine would be stuck.
func TestANodeIsKilledWhileItJoins(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	o := newMember(t)
	check(t, Join(waiting(t), o, joining(tokenOf(t, c))))
	// It wrote down who it is, and not yet whom it knows.
	check(t, os.WriteFile(filepath.Join(o.Dir, infoFile), []byte("ID: 7\nAddress: "+o.Address+"\nRole: 0\n"), 0o600))
	in, err := Grow(waiting(t), o, filepath.Join(t.TempDir(), "none"))
	check(t, err)
	check(t, in.Close())
	// It was let in, and did not write that down; the engine may do so right then.
	check(t, wasLetIn(o.Dir))
	check(t, os.WriteFile(filepath.Join(o.Dir, joinFile), nil, 0o600))
	grown(t, o)
	if s, err := c.State(waiting(t)); err != nil || len(s.Members) != 2 {
		t.Errorf("the cluster is %+v, %v", s, err)
	}
}

// TestOneThatWasRemovedSpeaksToNobody, though it never stopped.
func TestOneThatWasRemovedSpeaksToNobody(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	o, in := joined(t, c)
	check(t, write(waiting(t), in, "before"))
	r := c.engine.(*running)
	check(t, r.depart(waiting(t), o.Address, "remove from cluster", "test"))
	for ctx := waiting(t); ; {
		short, stop := context.WithTimeout(ctx, time.Second)
		err := write(short, in, time.Now().String())
		stop()
		if err != nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("it still writes")
		}
	}
	if _, err := in.engine.(*running).node.link.askAbout(waiting(t), c.address()); !errors.Is(err, errGone) {
		t.Errorf("it is answered %v", err)
	}
	check(t, write(waiting(t), c, "after"))
}

func TestOtherVersionsAreNotLetIn(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	steps := store.Steps()
	for name, test := range map[string]struct {
		steps []string
		want  string
	}{
		"newer":   {append(slices.Clone(steps), "more"), "it is newer"},
		"another": {[]string{"other"}, "another build"},
		"older":   {nil, "is older"},
	} {
		if err := c.Fits(waiting(t), test.steps); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	check(t, c.Fits(waiting(t), steps))
	r := c.engine.(*running)
	_, key, err := newKey()
	check(t, err)
	public, err := publicKey(key)
	check(t, err)
	line, err := parseToken(tokenOf(t, c))
	check(t, err)
	_, err = r.admit(waiting(t), newcomer{Secret: line.Secret, Address: freeAddress(), Key: public, URL: testURL, Version: "v2", Steps: append(steps, "more")}, Host{URL: testURL, Version: "v1"})
	says(t, err, "its version is v2, and here it is v1")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err = r.fits(over, newcomer{Address: freeAddress(), URL: testURL, Steps: steps}, Host{URL: testURL}, nil)
	if why := refused(""); err == nil || errors.As(err, &why) {
		t.Errorf("a store that does not answer is told as %v", err)
	}
}

// TestConsolesAtTwoURLs are not let stand beside each other.
func TestConsolesAtTwoURLs(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	o := newMember(t)
	check(t, Join(waiting(t), o, joining(tokenOf(t, c))))
	o.Log = slog.New(slog.DiscardHandler)
	in, err := Grow(waiting(t), o, filepath.Join(t.TempDir(), "none"))
	check(t, err)
	defer in.Close()
	says(t, in.Admit(waiting(t), Host{URL: "https://other.test"}), "started for https://other.test", "--url "+testURL)
}
