package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"popup/console"
	"popup/store/storetest/embedded"
	"popup/web/api"
)

func TestClusterCard(t *testing.T) {
	voters := func(n int) (s console.ClusterState) {
		for range n {
			s.Members = append(s.Members, console.Member{Address: "a:1", Role: console.Voter, Answers: true, Follows: "a:1"})
		}
		s.Tolerates = (n - 1) / 2
		return s
	}
	few := voters(2)
	few.Why = "let a third one join"
	young := voters(3)
	young.Tolerates, young.Why = 0, "wait a moment"
	silent := threeConsoles("10.0.0.3:7071")
	lost := voters(5)
	lost.Tolerates, lost.Members[0].Answers = 1, false
	for name, c := range map[string]struct {
		state console.ClusterState
		alone int
		want  clusterCard
		act   bool
	}{
		"alone":         {console.ClusterState{Why: "it is alone"}, 0, clusterCard{Says: "One console: the loss of its disk loses all.", Alone: true}, false},
		"one of others": {voters(1), 0, clusterCard{Says: "One console: tolerates no failure."}, true},
		"two":           {few, 1, clusterCard{Says: "Two consoles: tolerates no failure.", Why: "Let a third one join.", Backups: "1 backup is on this console alone. A copy is made as soon as another one answers."}, true},
		"young":         {young, 0, clusterCard{Says: "Three consoles: tolerates no failure.", Why: "Wait a moment."}, false},
		"three":         {voters(3), 0, clusterCard{Says: "Three consoles: tolerates one failure."}, false},
		"one is silent": {silent, 2, clusterCard{Says: "Three consoles: tolerates no failure.", Why: "10.0.0.3:7071 does not answer: start it again.", Backups: "2 backups are on this console alone. A copy is made as soon as another one answers."}, true},
		"five":          {voters(5), 0, clusterCard{Says: "Five consoles: tolerates 2 failures."}, false},
		"four of five":  {lost, 0, clusterCard{Says: "Five consoles: tolerates one failure."}, false},
		"seven":         {voters(7), 0, clusterCard{Says: "7 consoles: tolerates 3 failures."}, false},
	} {
		got := clusterOf(c.state, c.alone)
		if got.Says != c.want.Says || got.Why != c.want.Why || got.Alone != c.want.Alone || got.Backups != c.want.Backups || len(got.Members) != len(c.state.Members) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if mustAct(c.state) != c.act {
			t.Errorf("%s: somebody has to act: %v", name, !c.act)
		}
	}
	for says, m := range map[string]console.Member{
		"this one · leads the others · has a say in what is kept · up to date · popup 0.4.0": {Self: true, Leads: true, Role: console.Voter, Answers: true, Version: "0.4.0"},
		"keeps a copy · 3 entries behind": {Role: console.StandBy, Answers: true, Behind: 3},
		"keeps nothing yet":               {Role: console.Spare, Answers: true, Behind: -1},
		"has a say in what is kept":       {Role: console.Voter, Behind: 9},
		"":                                {Behind: -1},
	} {
		if row := memberOf(m); row.Says != says || (row.Chip.Word == "answers") != m.Answers {
			t.Errorf("%+v is %+v, want %q", m, row, says)
		}
	}
}

// A fakeCluster is as a test says.
type fakeCluster struct {
	state console.ClusterState
	fails atomic.Bool
}

func (f *fakeCluster) State(context.Context) (console.ClusterState, error) {
	if f.fails.Load() {
		return console.ClusterState{}, context.DeadlineExceeded
	}
	return f.state, nil
}
func (f *fakeCluster) Token(context.Context, time.Duration) (string, error) {
	return "", errors.ErrUnsupported
}
func (f *fakeCluster) Remove(context.Context, string) error { return errors.ErrUnsupported }
func (f *fakeCluster) Leave(context.Context) error          { return errors.ErrUnsupported }

// TestClusterIsShown: to owners, on its page, where they have to act, and to programs.
func TestClusterIsShown(t *testing.T) {
	store, err := embedded.Open(context.WithoutCancel(t.Context()), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cluster := &fakeCluster{state: threeConsoles("10.0.0.3:7071")}
	s, _ := serve(t, parts{name: "one", cluster: cluster, store: store, keys: newKeys(t), cloud: newMemoryCloud(),
		url: "http://" + listener.Addr().String(), listener: listener})
	s.settle(t)
	state := decode[api.Cluster](t, s.do(t, request{who: "olga", method: "GET", path: "/api/v1/cluster"}), 200)
	if state.Says != "tolerates no failure: 10.0.0.3:7071 does not answer: start it again" || len(state.Members) != 3 || !state.Members[0].Leads || state.Members[1].Behind != 1 || state.Members[2].Answers {
		t.Errorf("programs are told %+v", state)
	}
	const trouble = "The consoles tolerate no failure</a>: 10.0.0.3:7071 does not answer: start it again."
	cluster.fails.Store(true)
	if page := s.send(t, request{who: "olga", method: "GET", path: "/instances", browser: true}); page.status != 200 || strings.Contains(page.body, trouble) {
		t.Errorf("nobody knows, and the page is %d: %s", page.status, page.body)
	}
	cluster.fails.Store(false) // that is not kept for the truth
	for who, sees := range map[string]bool{"olga": true, "otto": false, "vera": false} {
		page := s.send(t, request{who: who, method: "GET", path: "/instances", browser: true})
		if page.status != 200 || strings.Contains(page.body, trouble) != sees {
			t.Errorf("%s sees it on the page of the fleet: %v", who, !sees)
		}
	}
	page := s.send(t, request{who: "olga", method: "GET", path: "/settings", browser: true})
	if page.status != 200 || !strings.Contains(page.body, "Three consoles: tolerates no failure.") || !strings.Contains(page.body, "does not answer") {
		t.Errorf("the settings say %d: %s", page.status, page.body)
	}
}

// TestDownloadFromAnotherConsole: while they are upgraded one after the other, any of them
// has the popup of all.
func TestDownloadFromAnotherConsole(t *testing.T) {
	const popup = "the popup of another console"
	sum, broken, unknown := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	asked := 0
	s := newSite(t, func(o *Options) {
		o.Elsewhere = func(_ context.Context, of, part string) (*http.Response, error) {
			asked++
			header := http.Header{"Content-Length": {"28"}, "Accept-Ranges": {"bytes"}, "Set-Cookie": {"no=1"}}
			switch {
			case of == broken:
				lost := iotest.ErrReader(errors.New("it went away"))
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(popup[:9]), lost))}, nil
			case of != sum:
				return nil, console.ErrNotFound
			case part == "bytes=4-8":
				return &http.Response{StatusCode: 206, Header: http.Header{"Content-Length": {"5"}, "Content-Range": {"bytes 4-8/28"}}, Body: io.NopCloser(strings.NewReader(popup[4:9]))}, nil
			}
			return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(popup))}, nil
		}
	})
	s.claim(t)
	got := s.send(t, request{method: "GET", path: "/download/" + sum})
	if got.status != 200 || got.body != popup || got.header.Get("ETag") != `"`+sum+`"` || got.header.Get("Set-Cookie") != "" {
		t.Errorf("all of it: %+v", got)
	}
	got = s.send(t, request{method: "GET", path: "/download/" + sum, header: map[string]string{"Range": "bytes=4-8"}})
	if got.status != 206 || got.body != "popup" || got.header.Get("Content-Range") != "bytes 4-8/28" {
		t.Errorf("a part of it: %+v", got)
	}
	if got := s.send(t, request{method: "HEAD", path: "/download/" + sum}); got.status != 200 || got.header.Get("Content-Length") != "28" {
		t.Errorf("what it is: %+v", got)
	}
	if got := s.send(t, request{method: "GET", path: "/download/" + unknown}); got.status != 404 {
		t.Errorf("one that none has: %+v", got)
	}
	before := asked
	if got := s.send(t, request{method: "GET", path: "/download/..%2fvault%2fx"}); got.status != 404 || asked != before {
		t.Errorf("what is no sum: %d, asked elsewhere: %v", got.status, asked != before)
	}
	if resp, err := http.Get(s.url + "/download/" + broken); err == nil {
		half, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err == nil {
			t.Errorf("half of it is taken for all: %q", half)
		}
	}
	for range mostPassing {
		s.passing <- struct{}{}
	}
	if got := s.send(t, request{method: "GET", path: "/download/" + sum}); got.status != 503 || got.header.Get("Retry-After") != "5" {
		t.Errorf("one too many: %+v", got)
	}
}
