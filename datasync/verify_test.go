package datasync

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"popup/internal/signature"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// A watched is a syncer of a real repository, over a real server.
type watched struct {
	t      *testing.T
	repo   *testutil.GitRepo
	server *testutil.GitServer
	dir    string
	source Source
	*Syncer
}

func watch(t *testing.T, repo *testutil.GitRepo, spec wire.Source) *watched {
	t.Helper()
	w := &watched{t: t, repo: repo, server: testutil.NewGitServer(t, filepath.Dir(repo.Dir)), dir: tempDir(t)}
	w.reopen(spec)
	return w
}

// reopen is what a restart with another plan does.
func (w *watched) reopen(spec wire.Source) {
	w.t.Helper()
	spec.URL = w.server.URL + "/upstream"
	source, err := NewSource(spec, SourceOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.source = source
	w.Syncer = NewSyncer(Config{Source: source, Publisher: openPublisher(w.t, w.dir, PublisherOptions{})})
}

// publishes fails unless the newest commit is published.
func (w *watched) publishes() {
	w.t.Helper()
	rev, _, err := w.Stage(w.t.Context())
	if err == nil {
		err = w.Publish(rev)
	}
	if err != nil || string(rev) != w.repo.Head() {
		w.t.Fatalf("published %s, %v; want %s", rev, err, w.repo.Head())
	}
}

// holds fails unless the newest commit is refused by the gate, is not asked for
// again, and what is served stays.
func (w *watched) holds(gate, why string) {
	w.t.Helper()
	before := w.Status()
	_, _, err := w.Stage(w.t.Context())
	var refused *GateError
	if !errors.As(err, &refused) || refused.Gate != gate {
		w.t.Fatalf("error %v, want one of the gate %s", err, gate)
	}
	wantText(w.t, err, why, w.repo.Head()[:12])
	asked := w.server.Requests()
	_, _, err = w.Stage(w.t.Context())
	var again *RefusedError
	if !errors.As(err, &again) || w.server.Requests() != asked+1 {
		w.t.Errorf("%d requests and %v; want one poll and a refusal", w.server.Requests()-asked, err)
	}
	after := w.Status()
	if after.Serving != before.Serving || after.ErrorClass != ClassGate || string(after.Wanted) != w.repo.Head() {
		w.t.Errorf("serving %s before and %s then, class %q, wanted %s", before.Serving, after.Serving, after.ErrorClass, after.Wanted)
	}
}

// A pen signs commits.
type pen struct{ file, line string }

func newPen(t *testing.T, who string) pen {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return pen{file, who + " " + string(public)}
}

func (p pen) commit(repo *testutil.GitRepo, content string) {
	repo.Write("notice.txt", []byte(content), 0o644)
	repo.Git("add", "-A")
	repo.Git("-c", "gpg.format=ssh", "-c", "user.signingkey="+p.file, "commit", "-q", "-S", "-m", content)
}

func signedBy(pens ...pen) wire.Source {
	text := ""
	for _, p := range pens {
		text += p.line
	}
	return wire.Source{Verify: &wire.Verify{AllowedSigners: text}}
}

func TestOnlySignedCommitsArePublished(t *testing.T) {
	anna, bert := newPen(t, "anna@example.org"), newPen(t, "bert@example.org")
	repo := testutil.NewRepo(t)
	anna.commit(repo, "by anna")
	w := watch(t, repo, signedBy(anna))
	w.publishes()
	repo.Commit(map[string]string{"notice.txt": "by nobody"})
	w.holds(GateSignature, "is not signed")
	bert.commit(repo, "by bert")
	w.holds(GateSignature, "not among the allowed signers")
	w.reopen(signedBy(anna))
	if _, _, err := w.Stage(t.Context()); !errors.As(err, new(*RefusedError)) {
		t.Errorf("a restart forgot the refusal: %v", err)
	}
	w.reopen(signedBy(anna, bert))
	w.publishes()
	anna.commit(repo, "by anna again")
	w.publishes()
	w.reopen(wire.Source{})
	repo.Commit(map[string]string{"notice.txt": "by nobody"})
	w.publishes()
}

// TestUnsignedContentIsNotFetched is about bytes, in a server that leaves out files
// and in one that does not.
func TestUnsignedContentIsNotFetched(t *testing.T) {
	for _, filter := range []string{"true", "false"} {
		repo := testutil.NewRepo(t)
		repo.Git("config", "uploadpack.allowFilter", filter)
		content := make([]byte, 20<<20)
		_, _ = rand.Read(content)
		repo.Write("large.bin", content, 0o644)
		repo.CommitAll()
		w := watch(t, repo, signedBy(newPen(t, "anna@example.org")))
		w.holds(GateSignature, "is not signed")
		if in := w.source.(*gitSource).Cost().BytesIn; in > 8<<20 {
			t.Errorf("filter %s: %d bytes came of what nobody signed", filter, in)
		}
		if found := names(t, w.dir); len(found) > 1 { // what is remembered
			t.Errorf("left behind: %q", found)
		}
	}
}

func TestRewindIsHeld(t *testing.T) {
	for _, filter := range []string{"true", "false"} {
		t.Run("filter "+filter, func(t *testing.T) {
			t.Parallel()
			repo := testutil.NewRepo(t)
			repo.Git("config", "uploadpack.allowFilter", filter)
			repo.Commit(map[string]string{"notice.txt": "1"})
			w := watch(t, repo, wire.Source{Rewind: wire.RewindRefuse})
			w.publishes()
			for n := range 3 {
				repo.Commit(map[string]string{"notice.txt": fmt.Sprint("on ", n)})
			}
			w.publishes()
			served := repo.Head()
			repo.Rewind("2")
			w.holds(GateRewind, "does not follow "+served[:12])
			repo.Commit(map[string]string{"notice.txt": "elsewhere"})
			w.holds(GateRewind, "does not follow")
			repo.Orphan(map[string]string{"notice.txt": "anew"})
			w.holds(GateRewind, "set rewind: allow")
			w.reopen(wire.Source{Rewind: wire.RewindAllow})
			w.publishes()
			w.reopen(wire.Source{Rewind: wire.RewindRefuse})
			repo.Commit(map[string]string{"notice.txt": "from there on"})
			w.publishes()
		})
	}
}

// TestGoingBackByHandIsJudgedAnew: what did not follow one revision may follow
// another that was chosen to be served.
func TestGoingBackByHandIsJudgedAnew(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"notice.txt": "1"})
	w := watch(t, repo, wire.Source{Rewind: wire.RewindRefuse})
	w.publishes()
	first := Revision(repo.Head())
	repo.Commit(map[string]string{"notice.txt": "2"})
	w.publishes()
	repo.Rewind("1")
	repo.Commit(map[string]string{"notice.txt": "3"})
	w.holds(GateRewind, "does not follow")
	if err := w.Publish(first); err != nil {
		t.Fatal(err)
	}
	w.publishes()
}

// TestBothGates asks once for what both want to know.
func TestBothGates(t *testing.T) {
	anna := newPen(t, "anna@example.org")
	repo := testutil.NewRepo(t)
	repo.Git("config", "uploadpack.allowFilter", "true")
	anna.commit(repo, "1")
	spec := signedBy(anna)
	spec.Rewind = wire.RewindRefuse
	w := watch(t, repo, spec)
	w.publishes()
	anna.commit(repo, "2")
	asked := w.server.Requests()
	w.publishes()
	if n := w.server.Requests() - asked; n != 3 {
		t.Errorf("%d requests; want a poll, one for the commits, and one for the files", n)
	}
	repo.Rewind("1")
	w.holds(GateRewind, "does not follow")
}

func TestRulesWantCommits(t *testing.T) {
	folder := t.TempDir()
	for name, spec := range map[string]wire.Source{
		"signers of a folder":  {Kind: kindFolder, URL: folder, Verify: &wire.Verify{AllowedSigners: newPen(t, "anna@example.org").line}},
		"a folder's history":   {URL: folder, Rewind: wire.RewindRefuse},
		"an archive's history": {Kind: kindHTTPS, URL: "https://example.org/data.zip", Rewind: wire.RewindRefuse},
		"a bucket's history":   {Kind: kindS3, URL: "s3://bucket/prefix/", Rewind: wire.RewindRefuse},
	} {
		_, err := NewSource(spec, SourceOptions{})
		if err == nil {
			t.Fatalf("%s: opened", name)
		}
		wantText(t, err, "no git repository")
	}
	_, err := NewSource(wire.Source{URL: folder, Verify: &wire.Verify{AllowedSigners: "# nobody\nx"}}, SourceOptions{})
	wantText(t, err, "line 2")
	_, err = NewSource(wire.Source{URL: folder, Rewind: "maybe"}, SourceOptions{})
	wantText(t, err, "allow or refuse")
}

func TestSignatureBeforeItsTimeIsTheClocks(t *testing.T) {
	if class := ErrorClass(fmt.Errorf("check: %w", signature.ErrClock)); class != ClassClock {
		t.Errorf("class %q", class)
	}
}
