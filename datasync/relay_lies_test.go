package datasync

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/internal/wire"
)

// readHead is what the relay's folder says.
func (r *relayed) readHead() relayHead {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.folder, relayHeadName))
	if err != nil {
		r.t.Fatal(err)
	}
	h, err := parseRelayHead(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *relayed) writeHead(h relayHead) {
	r.t.Helper()
	text, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.folder, relayHeadName), text, 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// sends has the relay send content as what its head names, with the right sum.
func (r *relayed) sends(content []byte) {
	r.t.Helper()
	h := r.readHead()
	sum := sha256.Sum256(content)
	h.Changes = nil
	h.Snapshot.Size, h.Snapshot.SHA256 = int64(len(content)), hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(r.folder, h.Snapshot.Name), content, 0o644); err != nil {
		r.t.Fatal(err)
	}
	r.writeHead(h)
}

// members unpacks the relay's snapshot.
func (r *relayed) members() []member {
	r.t.Helper()
	file, err := os.Open(filepath.Join(r.folder, r.readHead().Snapshot.Name))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	z, err := zstd.NewReader(file)
	if err != nil {
		r.t.Fatal(err)
	}
	defer z.Close()
	var all []member
	for from := tar.NewReader(z); ; {
		h, err := from.Next()
		if err == io.EOF {
			return all
		}
		content, readErr := io.ReadAll(from)
		if err != nil || readErr != nil {
			r.t.Fatal(err, readErr)
		}
		all = append(all, member{name: h.Name, content: string(content), mode: h.Mode, kind: h.Typeflag, link: h.Linkname})
	}
}

// A lie about content is found out, and the origin is fetched from.
func TestRelayThatLiesAboutContent(t *testing.T) {
	pack := func(change func([]member) []member) func(*relayed) {
		return func(r *relayed) { r.sends(zstdOf(r.t, tarOf(r.t, change(r.members())...))) }
	}
	change := func(name string, how func(*member)) func([]member) []member {
		return func(all []member) []member {
			i := slices.IndexFunc(all, func(m member) bool { return m.name == name })
			how(&all[i])
			return all
		}
	}
	lies := map[string]func(*relayed){
		"small file changed": pack(change("notice.txt", func(m *member) { m.content = "open on Sunday!!" })),
		"large file changed": pack(change("list/large", func(m *member) { m.content = "A" + m.content[1:] })),
		"link changed":       pack(change("latest", func(m *member) { m.link = "list/b" })),
		"link leads out":     pack(change("latest", func(m *member) { m.link = "/etc/passwd" })),
		"a link for a file":  pack(change("notice.txt", func(m *member) { m.kind, m.link, m.content = tar.TypeSymlink, "/etc/passwd", "" })),
		"file renamed":       pack(change("notice.txt", func(m *member) { m.name = "notice2.txt" })),
		"path with ..":       pack(change("notice.txt", func(m *member) { m.name = "../notice.txt" })),
		"file left out":      pack(func(all []member) []member { return all[:len(all)-1] }),
		"other order":        pack(func(all []member) []member { slices.Reverse(all[1:]); return all }),
		"trees of others": pack(change(relayTrees, func(m *member) {
			object := "100644 ../evil\x00" + strings.Repeat("x", 20)
			m.content = string(binary.AppendUvarint(nil, uint64(len(object)))) + object
		})),
		"trees cut off":   pack(change(relayTrees, func(m *member) { m.content = m.content[:len(m.content)-5] })),
		"no trees":        pack(func(all []member) []member { return all[1:] }),
		"nothing":         func(r *relayed) { r.sends([]byte{0}) },
		"no zstd":         func(r *relayed) { r.sends(tarOf(r.t, r.members()...)) },
		"zeros":           func(r *relayed) { r.sends(zstdOf(r.t, make([]byte, 96<<20))) },
		"zeros behind it": func(r *relayed) { r.sends(zstdOf(r.t, append(tarOf(r.t, r.members()...), make([]byte, 96<<20)...))) },
		"zeros in a file": pack(change("list/large", func(m *member) { m.content = strings.Repeat("\x00", 96<<20) })),
		"truncated": func(r *relayed) {
			file := filepath.Join(r.folder, r.readHead().Snapshot.Name)
			if err := os.Truncate(file, r.readHead().Snapshot.Size/2); err != nil {
				r.t.Fatal(err)
			}
		},
		"truncated, with its sum": func(r *relayed) {
			content, err := os.ReadFile(filepath.Join(r.folder, r.readHead().Snapshot.Name))
			if err != nil {
				r.t.Fatal(err)
			}
			r.sends(content[:len(content)-100])
		},
		"more behind it": func(r *relayed) {
			file, err := os.OpenFile(filepath.Join(r.folder, r.readHead().Snapshot.Name), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = file.WriteString("and more")
			}
			if err != nil {
				r.t.Fatal(err)
			}
			_ = file.Close()
		},
		"another sum": func(r *relayed) {
			h := r.readHead()
			h.Snapshot.SHA256 = strings.Repeat("0", 64)
			r.writeHead(h)
		},
		"gone": func(r *relayed) { _ = os.Remove(filepath.Join(r.folder, r.readHead().Snapshot.Name)) },
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t, wire.Source{}, SourceOptions{MaxBytes: 8 << 20, MaxFiles: 1000})
			r.repo.Write("list/large", bytes.Repeat([]byte("not\x00so small "), 1<<16), 0o644)
			if err := os.Symlink("notice.txt", filepath.Join(r.repo.Dir, "latest")); err != nil {
				t.Fatal(err)
			}
			r.repo.CommitAll()
			r.publish()
			lie(r)
			r.serves(viaOrigin, -1)
			if s := r.Status(); s.RelayError == "" || s.LastError != "" || len(s.Refused) > 0 {
				t.Errorf("the status is %+v; want what the relay did, and nothing else", s)
			}
			t.Log(r.Status().RelayError)
			// It is not fetched from the relay again, and the next one is.
			r.wasAsked()
			r.serves(viaRelay, 0)
			r.nextDay("honest again")
			r.publish()
			r.serves(viaRelay, 1)
		})
	}
}

// A relay that is cut off in the middle is not waited for.
func TestRelayIsGoneInTheMiddle(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.repo.Write("large", []byte(noise(2<<20)), 0o644)
	r.repo.CommitAll()
	r.publish()
	r.between(func(w http.ResponseWriter, req *http.Request, name string) bool {
		if name == relayHeadName {
			return false
		}
		content, err := os.ReadFile(filepath.Join(r.folder, name))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		panic(http.ErrAbortHandler)
	})
	r.serves(viaOrigin, -1)
	if text := r.Status().RelayError; !strings.Contains(text, "hung up") {
		t.Errorf("the status says %q", text)
	}
}

// noise does not compress.
func noise(n int) string {
	x, out := uint64(1), make([]byte, n)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x)
	}
	return string(out)
}

// What is said of the head is found out before anything is fetched.
func TestRelayThatLiesAboutTheHead(t *testing.T) {
	other := testutil.NewRepo(t)
	other.Commit(map[string]string{"notice.txt": "buy here"})
	lies := map[string]func(*relayed, relayHead) relayHead{
		"another commit": func(_ *relayed, h relayHead) relayHead { h.Commit = append(h.Commit, ' '); return h },
		"another tree":   func(_ *relayed, h relayHead) relayHead { h.Tree = strings.Repeat("a", 40); return h },
		"no commit":      func(_ *relayed, h relayHead) relayHead { h.Commit = nil; return h },
		"another name":   func(_ *relayed, h relayHead) relayHead { h.Snapshot.Name = "../../secret.tar.zst"; return h },
		"another version": func(_ *relayed, h relayHead) relayHead {
			h.Version = 2
			return h
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t, wire.Source{}, SourceOptions{})
			r.writeHead(lie(r, r.readHead()))
			r.serves(viaOrigin, -1)
			wantText(t, r.source.fault, r.source.relay.String(), relayHeadName)
		})
	}
	for name, text := range map[string]string{"empty": "", "a page": "<html>", "too large": strings.Repeat(" ", mostRelayHead) + "{}"} {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t, wire.Source{}, SourceOptions{})
			if err := os.WriteFile(filepath.Join(r.folder, relayHeadName), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			r.serves(viaOrigin, -1)
		})
	}
	t.Run("another repository", func(t *testing.T) {
		r := newRelayed(t, wire.Source{}, SourceOptions{})
		r.serves(viaRelay, 1)
		relay, err := OpenRelay(RelayConfig{Source: wire.Source{URL: other.URL()}, To: r.folder, Work: tempDir(t)})
		if err == nil {
			_, err = relay.Publish(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		r.wasAsked()
		behindOf(t, r.keeps())
		if asked := r.wasAsked(); !slices.Equal(asked, []string{relayHeadName}) {
			t.Errorf("%v was fetched of another repository", asked)
		}
		r.clock.advance(patience + time.Minute)
		r.nextDay("two")
		r.serves(viaOrigin, -1)
	})
	t.Run("an older one again", func(t *testing.T) {
		r := newRelayed(t, wire.Source{}, SourceOptions{})
		r.serves(viaRelay, 1)
		old := r.readHead()
		r.nextDay("two")
		r.publish()
		r.serves(viaRelay, 1)
		r.writeHead(old)
		behindOf(t, r.keeps())
		r.clock.advance(patience + time.Minute)
		if err := r.keeps(); err != nil || r.Status().Via != viaOrigin {
			t.Errorf("%v, via %s; want that the origin was asked in the end", err, r.Status().Via)
		}
	})
}

// Where somebody must have signed, the signature says that it is the origin's.
func TestRelayOfSignedCommits(t *testing.T) {
	anna := newPen(t, "anna@example.org")
	spec := signedBy(anna)
	r := newRelayed(t, spec, SourceOptions{})
	next := func(content string) {
		r.clock.advance(time.Minute)
		t.Setenv("GIT_COMMITTER_DATE", r.clock.Now().Format(time.RFC3339))
		anna.commit(r.repo, content)
		r.publish()
	}
	next("one")
	r.serves(viaRelay, 1) // nothing is known yet that it must be newer than
	old := r.readHead()
	for _, content := range []string{"two", "three"} {
		next(content)
		r.serves(viaRelay, 0)
	}
	newest := r.readHead()
	r.writeHead(old) // it is signed all the same
	behindOf(t, r.keeps())
	r.writeHead(newest)
	r.serves(viaRelay, 0)
	// What is not signed is refused where the origin has it.
	r.nextDay("by nobody")
	r.publish()
	asked := r.origin.Requests()
	err := r.keeps()
	if errorKind(err) != GateSignature || r.origin.Requests() != asked+1 {
		t.Errorf("%v for %d requests; want one of the gate, when the origin said that it is its own", err, r.origin.Requests()-asked)
	}
	if err := r.keeps(); errorKind(err) != refusedKind {
		t.Errorf("again: %v", err)
	}
}

// One that nobody signed and the origin does not know is the relay's fault alone.
func TestRelayThatInventsCommits(t *testing.T) {
	anna := newPen(t, "anna@example.org")
	r := newRelayed(t, signedBy(anna), SourceOptions{})
	anna.commit(r.repo, "one")
	r.publish()
	r.serves(viaRelay, 1)
	h := r.readHead()
	h.Commit = bytes.Replace(h.Commit, []byte("one"), []byte("two"), 1)
	h.Revision, h.Changes = Revision(tree.ObjectID("commit", h.Commit).String()), nil
	h.Snapshot.Name = snapshotName(h.Revision)
	r.writeHead(h)
	behindOf(t, r.keeps())
	if len(r.Status().Refused) > 0 {
		t.Error("a revision that never was is remembered")
	}
}

// The rule about branches that were moved back holds behind a relay as well.
func TestRelayOfARewoundBranch(t *testing.T) {
	r := newRelayed(t, wire.Source{Rewind: wire.RewindRefuse}, SourceOptions{})
	r.serves(viaRelay, 1)
	r.nextDay("two")
	r.publish()
	r.serves(viaRelay, -1)
	r.repo.Rewind("1")
	r.publish()
	if err := r.keeps(); errorKind(err) != GateRewind {
		t.Errorf("%v; want the gate", err)
	}
}
