package appliance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/wire"
	"popup/launcher"
	"popup/launcher/backup"
)

// serveVault answers about archives, which are not read into memory.
func (c *fakeConsole) serveVault(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	misbehave, key := c.misbehave, c.key
	c.mu.Unlock()
	if misbehave != nil && misbehave(w, r) {
		return
	}
	digest, err := wire.ParseDigest(r.Header.Get(wire.HeaderDigest))
	signed := wire.Signed{Method: r.Method, Path: r.URL.Path, Instance: r.Header.Get(wire.HeaderInstance), Digest: digest}
	if signed.Instance != "fair-7" || !signed.VerifiedBy(key, r.Header.Get(wire.HeaderSignature)) || (err == nil) != (r.Method == http.MethodPut) {
		c.t.Errorf("%s %s of %s is not signed by its key: %v", r.Method, r.URL.Path, signed.Instance, err)
	}
	name := strings.TrimPrefix(r.URL.Path, wire.PathVault)
	switch {
	case r.Method == http.MethodPut:
		c.receive(w, r, console.Incoming{Instance: signed.Instance, Name: name, Size: r.ContentLength, SHA256: digest, Body: r.Body})
	case name == "":
		c.mu.Lock()
		defer c.mu.Unlock()
		list := wire.VaultList{Version: wire.VaultVersion}
		for _, k := range c.kept {
			list.Archives = append(list.Archives, inWords(k))
		}
		_ = json.NewEncoder(w).Encode(list)
	default:
		in, err := c.archives.Open(r.Context(), signed.Instance, name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = io.Copy(w, in) // the other side may be gone
		_ = in.Close()        // it was only read
	}
}

func (c *fakeConsole) receive(w http.ResponseWriter, r *http.Request, in console.Incoming) {
	k, err := c.archives.Receive(r.Context(), in)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.Verified = time.Now().UTC()
	c.kept = append(c.kept, k)
	_ = json.NewEncoder(w).Encode(inWords(k))
}

func inWords(k console.Archive) wire.KeptArchive {
	return wire.KeptArchive{Name: k.Name, Size: k.Size, SHA256: k.SHA256, Since: k.Verified}
}

// TestFinalBackupGoesToTheConsole, who is away at first, and sees the instance killed in
// the middle of an upload. What is restored is what the app had.
func TestFinalBackupGoesToTheConsole(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}}
	c.plan(root, repo, `state: {vault: "console:"}`)
	u := startUp(t, root)
	u.await("/", "one for hello")
	precious := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(precious) // it never fails
	if err := os.WriteFile(u.state("photo.jpg"), precious, 0o644); err != nil {
		t.Fatal(err)
	}

	away, half, killed := 0, make(chan struct{}), make(chan struct{})
	c.say(func() {
		c.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			c.mu.Lock()
			away++
			turn := away
			c.mu.Unlock()
			switch turn {
			case 1: // it is overloaded
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			case 2: // it is gone
				panic(http.ErrAbortHandler)
			case 3: // the instance is killed
				_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
				close(half)
				<-killed
				panic(http.ErrAbortHandler)
			}
			return false
		}
		c.answer.Wanted = &wire.Wanted{Generation: 1, Ended: true}
	})
	u.until("half of it came", func() bool {
		select {
		case <-half:
			return true
		default:
			return false
		}
	})
	if status, _ := u.get("/"); status == http.StatusGone {
		t.Error("it is over without its archive")
	}
	tried := slices.ContainsFunc(u.journalOf("backup"), func(e launcher.Entry) bool {
		return strings.Contains(e.Message, "it is tried again: the console answers 503")
	})
	if !tried {
		t.Errorf("the journal does not say that it waits: %+v", u.journalOf("backup"))
	}
	u.kill()
	close(killed)
	u = startUp(t, root)
	u.until("over", func() bool { status, _ := u.get("/"); return status == http.StatusGone })
	u.until("reported", func() bool { r := c.last(); return r.End != nil && r.End.Step == "over" && r.End.Archive != "" })

	c.mu.Lock()
	kept := slices.Clone(c.kept)
	c.mu.Unlock()
	if len(kept) != 1 || !kept[0].Final || kept[0].Name != c.last().End.Archive {
		t.Fatalf("the console has %+v, the instance says %+v", kept, c.last().End)
	}
	if left, err := os.ReadDir(root + "/var/lib/popup/vault"); err != nil || len(left) > 0 {
		t.Errorf("on the instance there are %v, %v", left, err)
	}
	if got := restored(t, c, kept[0].Name, "photo.jpg"); !bytes.Equal(got, precious) {
		t.Errorf("%d bytes are restored, and others than were there", len(got))
	}
}

// restored is a file of an archive that the console keeps.
func restored(t *testing.T, c *fakeConsole, name, file string) []byte {
	t.Helper()
	in, err := c.archives.Open(t.Context(), "fair-7", name)
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = backup.Restore(t.Context(), in, state, archive.Limits{})
	text, readErr := state.ReadFile(file)
	if err := errors.Join(err, readErr, in.Close(), state.Close()); err != nil {
		t.Fatal(err)
	}
	return text
}
