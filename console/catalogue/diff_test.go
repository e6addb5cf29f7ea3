package catalogue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	s := newShelf(t, map[string]string{
		"same/app.yaml":     page("same"),
		"gone/app.yaml":     page("gone"),
		"broken/app.yaml":   page("broken"),
		"board/app.yaml":    page("board", "description: old", "packages:", "  apt: [curl]", "scripts:", "  postdeploy: ./setup.sh", "env:", "  TITLE:", "    value: Board"),
		"board/setup.sh":    "one",
		"board/sub/old.txt": "",
	})
	c := s.open(t)
	syncNow(t, c)
	from := s.Head()
	s.Git("rm", "-rq", "gone", "board/sub")
	to := s.Commit(map[string]string{
		"new/app.yaml":      page("new"),
		"broken/app.yaml":   "no: manifest",
		"board/app.yaml":    page("board", "build_command: make", "packages:", "  apt: [curl, ncat]", "metadata: allow", "service:", "  repository: https://example.org/x"),
		"board/setup.sh":    "two",
		"board/sub/new.txt": "",
	})
	syncNow(t, c)
	want := Diff{From: from, To: to, Apps: []AppDiff{
		{ID: "board", Change: Changed, Fields: []FieldChange{
			{"build_command", "", "make", ConcernCommand},
			{"description", "old", "", ""},
			{"env.TITLE.value", "Board", "", ""},
			{"metadata", "", "allow", ConcernMetadata},
			{"packages.apt", "curl", "curl, ncat", ConcernPackage},
			{"scripts.postdeploy", "./setup.sh", "", ConcernScript},
			{"service.repository", "", "https://example.org/x", ConcernSource},
		}, Files: []FileChange{{"setup.sh", Changed}, {"sub/new.txt", Added}, {"sub/old.txt", Removed}}},
		{ID: "broken", Change: Changed, Problem: "at " + short(to) + ": its app.yaml is not valid: broken/app.yaml:1:1: no: this key is not known here — did you mean \"id\"?"},
		{ID: "gone", Change: Removed, Fields: []FieldChange{{"id", "gone", "", ""}, {"manifest_version", "1", "", ""}, {"name", "Gone", "", ""}, {"serve.type", "static", "", ConcernCommand}}},
		{ID: "new", Change: Added, Fields: []FieldChange{{"id", "", "new", ""}, {"manifest_version", "", "1", ""}, {"name", "", "New", ""}, {"serve.type", "", "static", ConcernCommand}}},
	}}
	got, err := c.Diff(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	for i, app := range got.Apps { // how a manifest is wrong is the manifest's own business
		if app.ID == "broken" && strings.HasPrefix(app.Problem, "at "+short(to)+": its app.yaml is not valid: broken/app.yaml:1:1: ") {
			got.Apps[i].Problem = want.Apps[1].Problem
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if scripts := Concerning(got.Apps[0].Fields, ConcernScript); len(scripts) != 1 || scripts[0].Old != "./setup.sh" {
		t.Errorf("scripts %+v", scripts)
	}
	if back, err := c.Diff(t.Context(), to[:8], from[:8]); err != nil || len(back.Apps) != 4 || back.From != to || back.To != from {
		t.Errorf("backwards: %+v, %v", back, err)
	}
	if same, err := c.Diff(t.Context(), to, to); err != nil || len(same.Apps) != 0 {
		t.Errorf("to itself: %+v, %v", same, err)
	}
}

func TestDiffListsSoManyFiles(t *testing.T) {
	s := newShelf(t, map[string]string{"one/app.yaml": page("one")})
	c := s.open(t)
	syncNow(t, c)
	from := s.Head()
	files := map[string]string{}
	for i := range maxFileChanges + 3 {
		files[fmt.Sprintf("one/%d", i)] = ""
	}
	to := s.Commit(files)
	syncNow(t, c)
	d, err := c.Diff(t.Context(), from, to)
	if err != nil || len(d.Apps) != 1 || len(d.Apps[0].Files) != maxFileChanges || d.Apps[0].MoreFiles != 3 {
		t.Errorf("%d apps, %v: %+v", len(d.Apps), err, d)
	}
}

func TestCommitsThatAreNone(t *testing.T) {
	commits := []string{strings.Repeat("a", 40), "abcd" + strings.Repeat("b", 36), "abcd" + strings.Repeat("c", 36), "tree-" + strings.Repeat("d", 40)}
	for given, want := range map[string]string{
		"aaaa": commits[0], commits[1]: commits[1], "abcdc": commits[2], "tree-dddd": commits[3], "dddd": commits[3],
		"abcd": "abcd is the beginning of 2 commits; write more of it",
		"":     "is not a commit", "aaa": "is not a commit", "HEAD": "is not a commit", "../../x": "is not a commit", "aaaa\n": "is not a commit",
		strings.Repeat("a", 41): "is no commit of the catalogue that is known here; write one of those that this console has shown, like aaaaaaaaaaaaaaaaa",
	} {
		got, err := findCommit(commits, "from", given)
		var input *InputError
		if want == got && err == nil {
			continue
		}
		if !errors.As(err, &input) || input.Field != "from" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %s, %v; want %s", given, got, err, want)
		}
	}
	c := openCatalogue(t, Options{})
	_, err := c.Diff(t.Context(), c.Commit(), "ffff")
	var input *InputError
	if !errors.As(err, &input) || input.Field != "to" {
		t.Errorf("shipped: %v; want it to name to", err)
	}
}
