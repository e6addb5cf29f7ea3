package catalogue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
	"popup/userdata"
)

// binary is where machines get popup in these tests.
var binary = userdata.Binary{URLs: []string{"https://example.org/popup-{arch}"}, SHA256: map[string]string{"amd64": strings.Repeat("a", 64)}}

func TestShippedApps(t *testing.T) {
	c := openCatalogue(t, Options{})
	var want []string
	for _, id := range apps.Shipped() {
		want = append(want, string(id))
	}
	if got := strings.Fields(ids(c, "")); len(got) != len(want) || len(c.Problems()) > 0 || !strings.HasPrefix(c.Commit(), "tree-") {
		t.Fatalf("shows %v at %q with %v; want %v", got, c.Commit(), c.Problems(), want)
	}
	for _, app := range c.Apps(Query{}) {
		if app.Icon.Type == "" || len(app.Keywords) == 0 || app.Description == "" || app.License == "" || app.Code.URL == "" {
			t.Errorf("%s lacks something of icon %q, keywords, description, licence, code: %+v", app.ID, app.Icon.Type, app.Loaded)
		}
		text, _, err := app.UserData(userdata.Overrides{}, userdata.Spec{Binary: binary})
		if err != nil {
			t.Errorf("%s: %v", app.ID, err)
			continue
		}
		plan, err := userdata.Read(text)
		if err != nil || plan.Manifest.ID != app.ID || plan.Service.URL != app.Code.URL {
			t.Errorf("%s: the text launches %s from %+v, %v; want %+v", app.ID, plan.Manifest.ID, plan.Service, err, app.Code)
		}
	}
	if notice := appOf(t, c, "notice"); notice.Code.URL != "catalogue:notice" || notice.Content.URL != "catalogue:notice/sample" {
		t.Errorf("notice is at %+v with %+v", notice.Code, notice.Content)
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Errorf("sync: %v", err)
	}
}

func TestSourcesThatAreNone(t *testing.T) {
	for source, want := range map[string]string{
		"apps":                          "apps is neither an absolute folder nor the address of a repository",
		"https://u:s3cret@example.org/": "carries a password",
		"https://example.org/a#-x":      "is not the name of a branch",
		"ftp://example.org/a":           "is not one that is fetched",
	} {
		_, err := Open(t.Context(), Options{Source: source, Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v; want %q", source, err, want)
		}
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("opened without a folder of its own")
	}
	if _, err := Open(t.Context(), Options{Source: t.TempDir(), Dir: t.TempDir(), Schedule: "often"}); err == nil || !strings.Contains(err.Error(), "often") {
		t.Errorf("schedule: %v", err)
	}
}

func TestSearch(t *testing.T) {
	s := newShelf(t, map[string]string{
		"auction/app.yaml": page("auction", "keywords: [Charity, bids]", "description: Bid for a cake."),
		"photos/app.yaml":  page("photos", "keywords: [wall]", "description: A wall of photos for a charity."),
		"zoo/app.yaml":     page("zoo"),
		"notes/README.md":  "no app",
		"README.md":        "no app",
		".github/app.yaml": "no app",
	})
	c := s.open(t)
	if got := ids(c, ""); got != "" || c.Commit() != "" {
		t.Errorf("before the first fetch it shows %q at %q", got, c.Commit())
	}
	syncNow(t, c)
	if problems := c.Problems(); len(problems) > 0 {
		t.Errorf("problems %+v", problems)
	}
	for text, want := range map[string]string{
		"": "auction photos zoo", "  ": "auction photos zoo", "CHARITY": "auction photos", "charity wall": "photos",
		"wall bids": "", "zo": "zoo", "cake.": "auction", "no app": "",
	} {
		if got := ids(c, text); got != want {
			t.Errorf("%q finds %q; want %q", text, got, want)
		}
	}
	_, err := c.App("foto")
	var missing *NotFoundError
	if !errors.As(err, &missing) || missing.Nearest != "" {
		t.Errorf("foto: %v", err)
	}
	if _, err = c.App("photo"); err == nil || err.Error() != `there is no app "photo" in the catalogue; did you mean "photos"?` {
		t.Errorf("photo: %v", err)
	}
}

// A whole small app lies in the catalogue's own repository, with its data.
func TestAppBesideItsManifest(t *testing.T) {
	s := newShelf(t, map[string]string{
		"wall/app.yaml":         page("wall", "service:", "  root_dir: site", "data:", "  source: folder", "  url: sample", "  mount: data", "icon: icon.svg", "screenshots: [shot.svg]"),
		"wall/icon.svg":         drawn,
		"wall/shot.svg":         drawn,
		"wall/site/index.html":  "hello",
		"wall/sample/one.txt":   "1",
		"news/app.yaml":         page("news", "service:", "  update:", "    schedule: '@daily'", "data:", "  source: folder", "  url: sample", "  mount: data", "  extract: a.tar.gz", "  in_subdir: x"),
		"board/app.yaml":        page("board", "data:", "  source: folder", "  url: sample", "  mount: data", "  check:", "    command: test -f one.txt"),
		"else/app.yaml":         page("else", "service:", "  repository: https://example.org/else", "  branch: stable"),
		"fork/app.yaml":         page("fork", "env:", "  TITLE:", "    required: true"),
		"local/app.yaml":        page("local", "service:", "  repository: /etc"),
		"misnamed/app.yaml":     page("other"),
		"huge/app.yaml":         page("huge", "# "+strings.Repeat("x", apps.MaxSize)),
		"linked/not-an-app":     "",
		"pictured/app.yaml":     page("pictured", "icon: evil.svg"),
		"pictured/evil.svg":     `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"unpictured/app.yaml":   page("unpictured", "icon: missing.png"),
		"unpictured/index.html": "",
	})
	c := s.open(t)
	syncNow(t, c)
	commit := s.Head()
	if got := ids(c, ""); got != "board else fork news pictured unpictured wall" || c.Commit() != commit {
		t.Fatalf("shows %q at %s", got, c.Commit())
	}
	for id, want := range map[apps.AppID]struct {
		code    wire.Source
		root    string
		content *wire.Source
		extract [2]string
	}{
		"wall":  {wire.Source{URL: s.url, Ref: commit}, "wall/site", &wire.Source{URL: s.url}, [2]string{"", "wall/sample"}},
		"news":  {wire.Source{URL: s.url}, "news", &wire.Source{URL: s.url}, [2]string{"news/sample/a.tar.gz", "x"}},
		"board": {wire.Source{URL: s.url, Ref: commit}, "board", nil, [2]string{}},
		"else":  {wire.Source{URL: "https://example.org/else", Ref: "stable"}, "", nil, [2]string{}},
		"fork":  {wire.Source{URL: s.url, Ref: commit}, "fork", nil, [2]string{}},
	} {
		app := appOf(t, c, id)
		if app.Code.URL != want.code.URL || app.Code.Ref != want.code.Ref || app.Service.RootDir != want.root || (app.Content == nil) != (want.content == nil) {
			t.Errorf("%s: code %+v in %q, data %+v; want %+v", id, app.Code, app.Service.RootDir, app.Content, want)
			continue
		}
		if want.content != nil && (app.Content.URL != want.content.URL || app.Data.Extract != want.extract[0] || app.Data.InSubdir != want.extract[1]) {
			t.Errorf("%s: data %+v of %+v; want %+v", id, app.Content, app.Data, want)
		}
		if err := app.Validate(); err != nil {
			t.Errorf("%s is launched with a manifest that is not valid: %v", id, err)
		}
	}
	wall := appOf(t, c, "wall")
	plan, err := userdata.NewPlan(wall.Loaded, wall.Overrides())
	if err != nil || plan.ManifestFrom != "" || userdata.CheckPlan(plan) != nil {
		t.Errorf("wall is launched by %+v, %v", plan, errors.Join(err, userdata.CheckPlan(plan)))
	}
	if wall.Icon.Type != "image/svg+xml" || string(wall.Icon.Bytes) != drawn || wall.Written.Service.RootDir != "site" {
		t.Errorf("wall: %+v", wall)
	}
	if shot, err := c.Screenshot("wall", "shot.svg"); err != nil || string(shot.Bytes) != drawn {
		t.Errorf("screenshot: %+v, %v", shot, err)
	}
	for _, name := range []string{"icon.svg", "../wall/shot.svg", "app.yaml"} {
		if shot, err := c.Screenshot("wall", name); !errors.As(err, new(*NotFoundError)) {
			t.Errorf("screenshot %s: %+v, %v", name, shot, err)
		}
	}
	var said []string
	for _, p := range c.Problems() {
		said = append(said, string(p.App)+": "+p.Message)
	}
	slices.Sort(said)
	for i, want := range []string{"huge: its app.yaml is not valid: huge/app.yaml: is larger than 256 KiB", "local: ", "misnamed: its app.yaml is not valid: misnamed/app.yaml: id: is other, and its folder is named misnamed",
		`pictured: its icon is left out: "pictured/evil.svg" is no picture that is shown: it has the element "script"`, "unpictured: its icon is left out: "} {
		if len(said) != 5 || !strings.HasPrefix(said[i], want) {
			t.Fatalf("problems %q; want %q", said, want)
		}
	}
}

func TestBrokenManifestKeepsTheOldVersion(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one", "description: first"), "two/app.yaml": page("two", "description: first")})
	c := s.open(t)
	syncNow(t, c)
	first := s.Head()
	second := s.Commit(map[string]string{"one/app.yaml": page("one", "colour: red"), "two/app.yaml": page("two", "description: second"), "three/app.yaml": "not: valid"})
	s.anHourLater()
	syncNow(t, c)
	check := func(c *Catalogue) {
		t.Helper()
		one, two := appOf(t, c, "one"), appOf(t, c, "two")
		if one.Description != "first" || one.Commit != first || one.Code.Ref != first || two.Description != "second" || two.Commit != second {
			t.Errorf("one is %q of %s, two is %q of %s", one.Description, one.Commit, two.Description, two.Commit)
		}
		problems := c.Problems()
		if got := ids(c, ""); got != "one two" || len(problems) != 2 {
			t.Fatalf("shows %s with %+v", got, problems)
		}
		slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(string(a.App), string(b.App)) })
		p := problems[0]
		if p.App != "one" || p.Commit != second || p.Kept != first || len(p.Details) != 1 || p.Details[0].Line != 6 || !strings.Contains(p.Message, "one/app.yaml:6:1: colour:") {
			t.Errorf("problem %+v", p)
		}
		if p := problems[1]; p.App != "three" || p.Kept != "" {
			t.Errorf("problem %+v", p)
		}
	}
	check(c)
	check(s.open(t)) // after a restart
	for i := range kept + 2 {
		s.Commit(map[string]string{"two/app.yaml": page("two", fmt.Sprintf("description: the %dth", i))})
		s.anHourLater()
		syncNow(t, c)
	}
	if one := appOf(t, c, "one"); one.Commit != first {
		t.Errorf("one is of %s; want %s", one.Commit, first)
	}
	commits, err := c.Commits()
	if err != nil || len(commits) > kept+1 || !slices.Contains(commits, first) || slices.Contains(commits, second) {
		t.Errorf("keeps %d commits, %v; want %d, the first among them", len(commits), err, kept+1)
	}
	s.Commit(map[string]string{"one/app.yaml": page("one"), "three/app.yaml": page("three")})
	syncNow(t, c)
	if got := ids(c, ""); got != "one three two" || len(c.Problems()) > 0 {
		t.Errorf("mended, it shows %s with %+v", got, c.Problems())
	}
}

func TestLastGoodWhileTheSourceIsDown(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one")})
	c := s.open(t)
	syncNow(t, c)
	s.server.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) })
	for _, c := range []*Catalogue{c, s.open(t)} {
		if err := c.Sync(t.Context()); err == nil {
			t.Error("followed a server that is down")
		}
		problems := c.Problems()
		if ids(c, "") != "one" || len(problems) != 1 || problems[0].App != "" || problems[0].Kept != s.Head() || !strings.Contains(problems[0].Message, "502") {
			t.Errorf("shows %q with %+v", ids(c, ""), problems)
		}
	}
}

func TestEmptiedCatalogueIsNotShown(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one")})
	c := s.open(t)
	syncNow(t, c)
	s.Git("rm", "-q", "one/app.yaml")
	s.Commit(map[string]string{"README.md": "soon"})
	if err := c.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "it holds no app") || ids(c, "") != "one" {
		t.Errorf("%v, and it shows %q", err, ids(c, ""))
	}
}

// What another source left behind is not this one's.
func TestOtherSource(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one")})
	syncNow(t, s.open(t))
	s.Git("checkout", "-q", "-b", "next")
	s.Commit(map[string]string{"two/app.yaml": page("two")})
	c := openCatalogue(t, Options{Source: s.url + "#next", Dir: s.dir})
	if got := ids(c, ""); got != "" {
		t.Errorf("before the first fetch it shows %q", got)
	}
	syncNow(t, c)
	if got := ids(c, ""); got != "one two" || c.Source() != s.url+"#next" || appOf(t, c, "two").Code.Ref != s.Head() {
		t.Errorf("shows %q of %s", got, c.Source())
	}
}

func TestFolder(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("one/app.yaml", page("one", "service:", "  repository: /srv/code"))
	write("two/app.yaml", page("two"))
	c := openCatalogue(t, Options{Source: folder})
	syncNow(t, c)
	if got := ids(c, ""); got != "one two" || len(c.Problems()) > 0 {
		t.Fatalf("shows %q with %v", got, c.Problems())
	}
	two := appOf(t, c, "two")
	if two.Origin.Folder != filepath.Join(folder, "two") || two.Code.URL != two.Origin.Folder || appOf(t, c, "one").Code.URL != "/srv/code" {
		t.Errorf("two is in %+v", two.Code)
	}
	if _, _, err := two.UserData(userdata.Overrides{}, userdata.Spec{Binary: binary}); err == nil || !strings.Contains(err.Error(), "another machine cannot read") {
		t.Errorf("to paste: %v", err)
	}
	write("two/app.yaml", page("two", "description: changed"))
	syncNow(t, c)
	if two = appOf(t, c, "two"); two.Description != "changed" {
		t.Errorf("two is %+v", two.Loaded)
	}
}

// Run fetches at once, and ends with its context.
func TestRun(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one")})
	c := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for ids(c, "") != "one" {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("shows %q with %v", ids(c, ""), c.Problems())
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// Whoever reads is not in the way of what is followed and removed.
func TestReadersMeanwhile(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one", "screenshots: [shot.svg]"), "one/shot.svg": drawn, "two/app.yaml": page("two")})
	c := s.open(t)
	syncNow(t, c)
	first := s.Head()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := c.Screenshot("one", "shot.svg"); err != nil {
					t.Error(err)
				}
				var forgotten *InputError
				if _, err := c.Diff(t.Context(), first, c.Commit()); err != nil && !errors.As(err, &forgotten) {
					t.Error(err)
				}
				c.Problems()
			}
		})
	}
	for i := range 2 * kept {
		s.Commit(map[string]string{"two/app.yaml": page("two", fmt.Sprintf("description: the %dth", i))})
		s.anHourLater()
		syncNow(t, c)
	}
	close(done)
	readers.Wait()
}

func BenchmarkSearch(b *testing.B) {
	c := &Catalogue{}
	for i := range 200 {
		m := apps.Manifest{ID: apps.AppID(fmt.Sprintf("app-%d", i)), Name: "An app", Description: strings.Repeat("words and ", 40)}
		c.shown.apps = append(c.shown.apps, App{Loaded: apps.Loaded{Manifest: m}, text: searched(m)})
	}
	for b.Loop() {
		if len(c.Apps(Query{Text: "words app-7"})) == 0 {
			b.Fatal("nothing found")
		}
	}
}
