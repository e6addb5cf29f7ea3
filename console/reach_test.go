package console

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"popup/internal/wire"
	"popup/userdata"
)

func TestReachCheck(t *testing.T) {
	for _, c := range []struct {
		reach Reach
		says  string // empty: nothing
	}{
		{Reach{URL: "https://console.example.org"}, ""},
		{Reach{URL: "http://127.0.0.1:8080", SameMachine: true}, ""},
		{Reach{URL: "https://localhost:8443", SameMachine: true}, ""},
		{Reach{URL: "http://127.0.0.1:8080"}, "an address of its own machine alone"},
		{Reach{URL: "https://[::1]:8443"}, "an address of its own machine alone"},
		{Reach{URL: "http://192.0.2.1", SameMachine: true}, "could be changed on its way"},
		{Reach{}, "does not know its own address"},
		{Reach{URL: "console"}, "does not know its own address"},
	} {
		err := c.reach.check("moon")
		if err == nil != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.reach, err, c.says)
		}
	}
}

// Each cloud's machines are told the console as they reach it, and the cloud what is asked of it.
func TestReachOfEachCloud(t *testing.T) {
	moon := newFakeCloud()
	l := newLiving(t, func(o *Options) {
		o.Clouds["moon"] = moon
		o.Pin = strings.Repeat("A", 43) + "="
		o.Reach["moon"] = Reach{URL: "https://10.0.2.100", Pin: strings.Repeat("B", 43) + "=",
			Binary: userdata.Binary{URLs: []string{"https://10.0.2.100/download/{arch}"}, SHA256: map[string]string{"arm64": strings.Repeat("e", 64)}}}
	})
	r := fair(AppRequest{App: "notice", Count: 2})
	l.launched(t, r)
	r.Cloud = "moon"
	e, all := l.launched(t, r)
	for cloud, c := range map[*fakeCloud]struct {
		url, pin, arch string
	}{l.cloud: {"http://127.0.0.1:8000", strings.Repeat("A", 43) + "=", "amd64"}, moon: {"https://10.0.2.100", strings.Repeat("B", 43) + "=", "arm64"}} {
		ask := cloud.launches[0]
		plan, err := userdata.Read(ask.UserData)
		if err != nil {
			t.Fatal(err)
		}
		if told := *plan.Console; told.URL != c.url || told.Pin != c.pin || told.Identity != "" || ask.Console != c.url {
			t.Errorf("it is told %+v, and its cloud %s", told, ask.Console)
		}
		if !slices.Equal(ask.Architectures, []string{c.arch}) {
			t.Errorf("it may have %v, and there is a binary for %s", ask.Architectures, c.arch)
		}
	}
	ask := moon.launches[0]
	if i := all[ask.Number-1]; ask.Instance != i.ID || ask.EventID != e.ID || ask.Event != e.Name || ask.Deployment != i.Deployment || ask.App != "notice" || !ask.Catalogued {
		t.Errorf("for %s of %s the cloud is asked for %+v", i.ID, e.ID, ask)
	}
	if got := slices.Sorted(maps.Keys(ask.Tags)); ask.Tags["popup:version"] != "test" || !slices.Contains(got, "popup:service") {
		t.Errorf("tags: %v", ask.Tags)
	}
}

func TestNewestOf(t *testing.T) {
	commit := strings.Repeat("c", 40)
	for _, c := range []struct {
		s    wire.Source
		d    Deployment
		want string
	}{
		{wire.Source{URL: "catalogue:notice"}, Deployment{}, "catalogue:notice"},
		{wire.Source{URL: "https://git.example/x.git", Ref: "main"}, Deployment{}, "https://git.example/x.git@main"},
		{wire.Source{URL: "https://git.example/x.git", Ref: "main"}, Deployment{Commit: commit}, "https://git.example/x.git@main"},
		{wire.Source{URL: "https://git.example/x.git", Ref: "main"}, Deployment{Commit: commit, Repository: "https://git.example/x.git"}, "https://git.example/x.git@" + commit},
		{wire.Source{URL: "https://git.example/y.git"}, Deployment{Commit: commit, Repository: "https://git.example/x.git", Swapped: true}, "https://git.example/y.git"},
	} {
		if got := newestOf(c.s, c.d); got != c.want {
			t.Errorf("%+v of %+v: %s, want %s", c.s, c.d, got, c.want)
		}
	}
}
