package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"popup/apps"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/userdata"
)

// served is a repository that strangers made, and its address.
func served(t *testing.T, files map[string]string) (*testutil.GitRepo, string) {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(files)
	return repo, testutil.NewGitServer(t, filepath.Dir(repo.Dir)).URL + "/upstream"
}

func inspect(t *testing.T, c *Catalogue, repository string) Proposal {
	t.Helper()
	p, err := c.Inspect(t.Context(), repository)
	if err != nil {
		t.Fatalf("inspect %s: %v", repository, err)
	}
	noLeftovers(t, c)
	return p
}

// noLeftovers fails when something that was looked at is still there.
func noLeftovers(t *testing.T, c *Catalogue) {
	t.Helper()
	left, err := os.ReadDir(c.inspectDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The commit that is shown is the one that is launched, whatever happens meanwhile.
func TestInspectPins(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	repo, url := served(t, map[string]string{"app.yaml": page("fair", "service:", "  update:", "    schedule: '@hourly'"), "index.html": "one"})
	first := repo.Head()
	p := inspect(t, c, url)
	repo.Commit(map[string]string{"index.html": "two"})
	if p.Commit != first || p.Loaded.ID != "fair" || p.Loaded.File != "app.yaml" || p.Original != nil || len(p.Notes) > 0 || p.Loaded.Dir != "" {
		t.Errorf("proposal %+v", p)
	}
	plan, err := userdata.NewPlan(p.Loaded, p.Overrides())
	if err != nil || plan.Service.URL != url || plan.Service.Ref != first || plan.ManifestFrom != "service" {
		t.Errorf("plan %+v, %v; want %s", plan, err, first)
	}
	if again := inspect(t, c, url+"#"+first); again.Commit != first || again.Code.Ref != first {
		t.Errorf("at %s: %+v", first, again)
	}
	if now := inspect(t, c, url+"#main"); now.Commit != repo.Head() || now.Code.Ref != repo.Head() {
		t.Errorf("at main: %+v; want %s", now, repo.Head())
	}
}

func TestInspectDetects(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	_, url := served(t, map[string]string{"index.html": "hello"})
	p := inspect(t, c, url)
	if p.Loaded.ID != "upstream" || !strings.Contains(p.Loaded.Detected, "index.html") || p.Code.Ref != p.Commit || len(p.Notes) != 1 {
		t.Errorf("proposal %+v", p)
	}
}

// Code may be of another branch, or in another repository, and data beside.
func TestInspectElsewhere(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	code, codeURL := served(t, map[string]string{"index.html": "code"})
	_, dataURL := served(t, map[string]string{"x": "data"})
	repo, url := served(t, map[string]string{"app.yaml": page("fair", "service:", "  repository: "+codeURL, "  branch: main", "data:", "  mount: d", "  repository: "+dataURL)})
	p := inspect(t, c, url)
	plan, err := userdata.NewPlan(p.Loaded, p.Overrides())
	if err != nil || plan.Service.URL != codeURL || plan.Service.Ref != code.Head() || plan.Data.URL != dataURL || plan.ManifestFrom != "" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "so that is launched and not what is in "+url) {
		t.Errorf("notes %q", p.Notes)
	}

	repo.Commit(map[string]string{"app.yaml": page("fair", "service:", "  repository: "+url+"/"), "index.html": ""}) // itself, written otherwise
	if p := inspect(t, c, url); p.Code.Ref != repo.Head() || len(p.Notes) > 0 {
		t.Errorf("itself: %+v, %q; want %s", p.Code, p.Notes, repo.Head())
	}

	repo.Git("checkout", "-q", "-b", "stable")
	stable := repo.Commit(map[string]string{"index.html": "stable"})
	repo.Git("checkout", "-q", "main")
	repo.Commit(map[string]string{"app.yaml": page("fair", "service:", "  branch: stable"), "index.html": "new"})
	p = inspect(t, c, url)
	plan, err = userdata.NewPlan(p.Loaded, p.Overrides())
	if err != nil || p.Commit != repo.Head() || plan.Service.URL != url || plan.Service.Ref != stable || plan.ManifestFrom != "" {
		t.Errorf("plan %+v, %v; want %s", plan.Service, err, stable)
	}

	repo.Commit(map[string]string{"app.yaml": page("fair", "data:", "  source: folder", "  url: days", "  mount: d"), "days/1": "1"})
	p = inspect(t, c, url)
	plan, err = userdata.NewPlan(p.Loaded, p.Overrides())
	if err != nil || plan.Service.Ref != repo.Head() || plan.Data.URL != url || plan.Data.Ref != "" || plan.Manifest.Data.InSubdir != "days" || plan.ManifestFrom != "" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	repo.Commit(map[string]string{"app.yaml": page("fair", "data:", "  source: folder", "  url: days", "  mount: d", "  check:", "    command: test -f 1")})
	if p = inspect(t, c, url); p.Content != nil || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "that has to be given") || p.Code.Ref != repo.Head() {
		t.Errorf("proposal %+v", p)
	}
}

func TestInspectForks(t *testing.T) {
	s := newShelf(t, map[string]string{})
	original, originalURL := served(t, map[string]string{"index.html": "original"})
	s.Commit(map[string]string{
		"fair/app.yaml":  page("fair", "service:", "  repository: "+originalURL, "packages:", "  apt: [curl]", "scripts:", "  postdeploy: ./setup"),
		"other/app.yaml": page("other"),
	})
	c := openCatalogue(t, Options{Source: s.url, Dial: outside()})
	syncNow(t, c)

	p := inspect(t, c, originalURL)
	if o := p.Original; o == nil || o.App.ID != "fair" || o.Fork() || p.Loaded.ID != "fair" || p.Code.Ref != original.Head() || !strings.Contains(p.Loaded.Detected, "the catalogue's manifest fair") {
		t.Errorf("the original itself: %+v", p)
	}
	fork, url := served(t, map[string]string{"index.html": "fork"})
	p = inspect(t, c, url) // its repository has the original's name, and no manifest
	if o := p.Original; o == nil || !o.Fork() || p.Loaded.Name != "Fair" || p.Code.URL != url || p.Code.Ref != fork.Head() {
		t.Errorf("a fork without a manifest: %+v", p)
	}
	for why, manifest := range map[string]string{
		"id":     page("fair", "packages:", "  apt: [curl, netcat]", "build_command: make"),
		"origin": page("fun", "service:", "  repository: "+originalURL),
		"name":   page("fun"),
	} {
		fork.Commit(map[string]string{"app.yaml": manifest})
		p := inspect(t, c, url)
		if p.Original == nil || p.Original.App.ID != "fair" || p.Original.Why != why || !p.Original.Fork() {
			t.Errorf("by %s: %+v", why, p.Original)
			continue
		}
		want := []FieldChange{{"build_command", "", "make", ConcernCommand}, {"packages.apt", "curl", "curl, netcat", ConcernPackage},
			{"scripts.postdeploy", "./setup", "", ConcernScript}, {"service.repository", originalURL, "", ConcernSource}}
		if d := cmp.Diff(want, p.Original.Fields); why == "id" && d != "" {
			t.Error(d)
		}
	}
	fork.Commit(map[string]string{"app.yaml": "a: b"}) // what it says is not passed over
	if p, err := c.Inspect(t.Context(), url); !errors.As(err, new(apps.Problems)) {
		t.Errorf("a fork with a manifest at fault: %+v, %v", p, err)
	}
	fork.Git("rm", "-q", "app.yaml")
	fork.Commit(map[string]string{"Procfile": "web: ./evil"})
	if p := inspect(t, c, url); p.Loaded.ID != "fair" {
		t.Errorf("the catalogue's manifest is not above what is detected: %+v", p.Loaded)
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	secret := testutil.NewRepo(t)
	secret.Commit(map[string]string{"app.yaml": page("secret"), "index.html": ""})
	var dialled []string
	c := openCatalogue(t, Options{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("nothing is dialled here")
	}})
	for address, want := range map[string]string{
		"":                                      "is empty",
		"#main":                                 "is empty",
		secret.URL():                            "is on this machine",
		secret.Dir:                              "is on this machine",
		"./x":                                   "is on this machine",
		"FILE://" + secret.Dir:                  "is on this machine",
		"file://localhost" + secret.Dir:         "names a host",
		"https://user:s3cret@example.org/x":     "carries a password",
		"https://s3cret@example.org/x":          "carries a user name or a token",
		"ftp://example.org/x":                   "is not one that is fetched",
		"ext::sh -c id":                         "",
		"--upload-pack=id":                      "begins with -",
		"https://example.org/x#--upload-pack":   "what follows the # is no branch, tag or commit",
		"https://example.org/x#a b":             "what follows the # is no branch, tag or commit",
		"https://example.org/x?token=s3cret":    "has a ? or # in it",
		"https://example.org/x\nhttps://a/b":    "holds a line break",
		"https://" + strings.Repeat("a", 5000):  "has more than 2048 bytes",
		"catalogue:notice":                      "is not the address of a repository",
		"$(id)":                                 "",
		"s3://bucket/x":                         "is not one that is fetched",
		"git@-oProxyCommand=id:x":               "",
		"ssh://-oProxyCommand=id/x":             "has a user or host that no server has",
		"git://example.org/x":                   "is not one that is fetched",
		"http://example.org:99999999999/x\x00y": "holds a line break or a control character",
	} {
		p, err := c.Inspect(t.Context(), address)
		var input *InputError
		if !errors.As(err, &input) || input.Field != "repository" || !strings.Contains(input.Message, want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %+v, %v; want %q", address, p, err, want)
		}
	}
	if len(dialled) > 0 {
		t.Errorf("dialled %q", dialled)
	}
	local := openCatalogue(t, Options{AllowLocal: true})
	for _, address := range []string{secret.URL(), secret.Dir} {
		if p := inspect(t, local, address); p.Loaded.ID != "secret" || p.Commit != secret.Head() || p.Code.Ref != secret.Head() {
			t.Errorf("allowed, %s: %+v", address, p)
		}
	}
	folder := filepath.Join(t.TempDir(), "plain")
	if err := errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(filepath.Join(folder, "index.html"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	p := inspect(t, local, folder)
	o := p.Overrides()
	o.Here = true
	if plan, err := userdata.NewPlan(p.Loaded, o); err != nil || plan.Service.URL != folder || !strings.HasPrefix(p.Commit, "tree-") {
		t.Errorf("a folder: %+v, %v", p, err)
	}
	for _, address := range []string{"../x", "./x"} {
		if _, err := local.Inspect(t.Context(), address); !errors.As(err, new(*InputError)) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestInspectProblems(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	outsideFile := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(outsideFile, []byte(page("stolen")), 0o600); err != nil {
		t.Fatal(err)
	}
	repo, url := served(t, map[string]string{"app.yaml": page("fair", "colour: red", "service:", "  root_dir: ../x")})
	_, err := c.Inspect(t.Context(), url)
	var problems apps.Problems
	if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Line != 6 || problems[0].File != "app.yaml" {
		t.Errorf("a manifest at fault: %v", err)
	}
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"nothing there", func() { repo.Git("rm", "-q", "app.yaml"); repo.Commit(map[string]string{"x": ""}) }, "nothing else says how it is served"},
		{"no page", func() { repo.Commit(map[string]string{"app.yaml": page("fair")}) }, "there is no index.html"},
		{"local code", func() {
			repo.Commit(map[string]string{"app.yaml": page("fair", "service:", "  repository: /etc")})
		}, "is a folder of this machine"},
		{"a folder as one", func() { repo.Git("rm", "-q", "app.yaml"); repo.Commit(map[string]string{"app.yaml/x": ""}) }, "repository: its app.yaml cannot be read"},
		{"a link outside", func() { repo.Git("rm", "-rq", "app.yaml"); link(t, repo, outsideFile, "app.yaml") }, "repository: "},
		{"a large file", func() {
			repo.Git("rm", "-q", "app.yaml")
			repo.Write("large", make([]byte, inspectBytes+1), 0o644)
			repo.CommitAll()
		}, "repository: it holds more than is fetched to look at it, which is 128 MiB and 20000 files"},
	} {
		step.change()
		p, err := c.Inspect(t.Context(), url)
		if !errors.As(err, new(*InputError)) && !errors.As(err, &problems) || !strings.Contains(fmt.Sprint(err), step.want) {
			t.Errorf("%s: %+v, %v; want %q", step.name, p.Loaded, err, step.want)
		}
	}
	for address, want := range map[string]string{
		url + "#nowhere": "nowhere",
		strings.TrimSuffix(url, "upstream") + "missing":   "there is no git repository there; check the address; a console looks only at what everybody may read",
		"http://127.0.0.1:1/x":                            "refused",
		"http://nowhere.invalid/x":                        `the name "nowhere.invalid" was not found`,
		url + "#0123456789012345678901234567890123456789": "",
	} {
		if p, err := c.Inspect(t.Context(), address); !errors.As(err, new(*InputError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", address, p.Loaded, err, want)
		}
	}
	noLeftovers(t, c)
}

func link(t *testing.T, repo *testutil.GitRepo, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(repo.Dir, name)); err != nil {
		t.Fatal(err)
	}
	repo.CommitAll()
}

// Only so many are looked at together. Whoever gives up leaves the queue.
func TestInspectWaits(t *testing.T) {
	c := openCatalogue(t, Options{Dial: outside()})
	for range maxInspecting {
		c.inspecting <- struct{}{}
	}
	_, url := served(t, map[string]string{"index.html": ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Inspect(ctx, url); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want that it was given up", err)
	}
	<-c.inspecting
	inspect(t, c, url)
}

func TestRefusal(t *testing.T) {
	slow, cancel := context.WithTimeoutCause(t.Context(), 0, errSlow)
	defer cancel()
	<-slow.Done()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	other := errors.New("the disk is gone")
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{slow, context.DeadlineExceeded, "repository: looking at a repository takes longer than 1m0s; try again later, or a smaller repository"},
		{t.Context(), &git.Error{Class: git.Content, Err: &tree.EntryError{Name: "x", Why: "is odd"}}, `repository: "x" is odd`},
		{t.Context(), &git.Error{Class: git.Other}, "repository: "},
		{t.Context(), &git.Error{Class: git.HostKey, Why: "the host key is not known"}, "repository: the host key is not known; use the repository's https address, or ask whoever runs the console to make the host's key known to it"},
		{t.Context(), &git.Error{Class: git.TooLarge, Why: "it is large"}, "repository: it is large; keep data in a repository of its own"},
	} {
		if err := refusal(c.ctx, c.err); err == nil || err.Error() != c.want || !errors.As(err, new(*InputError)) {
			t.Errorf("%v: %v; want %s", c.err, err, c.want)
		}
	}
	if err := refusal(gone, other); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if err := refusal(t.Context(), other); err != other {
		t.Errorf("the console's own: %v", err)
	}
}
