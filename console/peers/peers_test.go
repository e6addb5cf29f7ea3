package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/wire"
)

// A member is a console, as far as the others see it: a vault and a popup behind TLS.
type member struct {
	*Client
	archives *console.Archives
	dir      string // of the vault
	address  string
	binary   []byte
	sum      string // of binary
	server   *httptest.Server
	log      []byte // of the instance fair-abc-1 and its command
}

func (m *member) sentLog(instance, command string) ([]byte, error) {
	if m.log == nil || instance != "fair-abc-1" || command != "its command" {
		return nil, console.ErrNotFound
	}
	return m.log, nil
}

// newMembers starts some that reach each other.
func newMembers(t *testing.T, n int) []*member {
	t.Helper()
	all := make([]*member, n)
	for i := range all {
		m := &member{dir: t.TempDir(), binary: []byte(strings.Repeat(fmt.Sprint("popup ", i), 1000))}
		sum := sha256.Sum256(m.binary)
		m.sum = hex.EncodeToString(sum[:])
		file := filepath.Join(t.TempDir(), "popup")
		must(t, os.WriteFile(file, m.binary, 0o600))
		vault, err := archive.FolderVault(m.dir)
		must(t, err)
		m.archives = console.NewArchives(console.ArchivesOptions{Vault: vault, Free: func() (int64, error) { return archive.FreeSpace(m.dir) }, Spare: 1})
		m.server = httptest.NewTLSServer(Served{m.archives, map[string]string{m.sum: file}, m.sentLog, slog.New(slog.DiscardHandler)}.Handler())
		t.Cleanup(m.server.Close)
		m.address = m.server.Listener.Addr().String()
		m.Client = New(m.server.Client(), func(context.Context) (others []string, err error) { // all have one certificate
			for _, other := range all {
				if other != m {
					others = append(others, other.address)
				}
			}
			return others, nil
		})
		all[i] = m
	}
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sumOf(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }

func TestPeersKeepArchives(t *testing.T) {
	two := newMembers(t, 2)
	here, there := two[0], two[1]
	ctx := t.Context()
	large := bytes.Repeat([]byte("a bid for the cake\n"), 1<<17)
	const name = "fair-abc-1.final.tar.zst"
	if _, err := here.Get(ctx, there.address, name); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("before there is any: %v", err)
	}
	must(t, here.Put(ctx, there.address, name, int64(len(large)), sumOf(large), bytes.NewReader(large)))
	must(t, here.Put(ctx, there.address, name, int64(len(large)), sumOf(large), unread{t}))
	file, err := here.Get(ctx, there.address, name)
	must(t, err)
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes of %d came back: %v", len(got), len(large), err)
	}
	items, err := here.List(ctx, there.address)
	if err != nil || len(items) != 1 || items[0].Name != name || items[0].Size != int64(len(large)) || items[0].Modified.IsZero() {
		t.Errorf("there are %+v, %v", items, err)
	}
	must(t, here.Delete(ctx, there.address, name))
	must(t, here.Delete(ctx, there.address, name))
	if left, err := os.ReadDir(there.dir); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// unread is what nobody has to send twice.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("what is there was sent again")
	return 0, io.EOF
}

// TestPeersRefuse what would leave the vault's folder, or is not as it was announced.
func TestPeersRefuse(t *testing.T) {
	two := newMembers(t, 2)
	here, there := two[0], two[1]
	secret := filepath.Join(filepath.Dir(there.dir), "secret")
	must(t, os.WriteFile(secret, []byte("hush"), 0o600))
	for _, name := range []string{"../secret", "..", ".hidden", "a/b.c", strings.Repeat("a", 300) + ".x", "noinstance"} {
		if err := here.Put(t.Context(), there.address, name, 5, sumOf([]byte("hello")), strings.NewReader("hello")); err == nil {
			t.Errorf("%q was taken", name)
		}
		if file, err := here.Get(t.Context(), there.address, name); err == nil {
			t.Errorf("%q was given out, %v", name, file.Close())
		}
		_ = here.Delete(t.Context(), there.address, name)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "hush" {
		t.Errorf("beside the vault is %q, %v", text, err)
	}
	for what, size := range map[string]int64{"more": 4, "less": 6, "nothing like it": 5} {
		if err := here.Put(t.Context(), there.address, "fair-1.x", size, sumOf([]byte("hallo")), strings.NewReader("hello")); err == nil {
			t.Errorf("%s than was announced was taken", what)
		}
	}
	if left, err := os.ReadDir(there.dir); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	there.server.Close()
	if err := here.Put(t.Context(), there.address, "fair-1.x", 5, sumOf([]byte("hello")), strings.NewReader("hello")); err == nil {
		t.Error("nobody took it")
	}
}

// TestStalledPeerIsGivenUp: its disk or its network stands still, and its connections live.
func TestStalledPeerIsGivenUp(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		<-stuck
	}))
	defer server.Close()
	defer close(stuck)
	c := New(server.Client(), nil)
	c.stall = 100 * time.Millisecond
	address := server.Listener.Addr().String()
	big := make([]byte, 64<<20)
	if err := c.Put(t.Context(), address, "fair-1.x", int64(len(big)), sumOf(big), bytes.NewReader(big)); err == nil || !strings.Contains(err.Error(), "takes nothing for 100ms") {
		t.Errorf("one that reads nothing: %v", err)
	}
	file, err := c.Get(t.Context(), address, "fair-1.x")
	must(t, err)
	if got, err := io.ReadAll(file); err == nil || string(got) != "half" {
		t.Errorf("one that sends half: %q, %v", got, err)
	}
	must(t, file.Close())
}

// TestBrokenArchiveIsNoneAtAll: half of one is not taken for all of it.
func TestBrokenArchiveIsNoneAtAll(t *testing.T) {
	two := newMembers(t, 2)
	here, there := two[0], two[1]
	const name = "fair-1.x"
	whole := bytes.Repeat([]byte("a"), 8<<20)
	must(t, here.Put(t.Context(), there.address, name, int64(len(whole)), sumOf(whole), bytes.NewReader(whole)))
	file, err := here.Get(t.Context(), there.address, name)
	must(t, err)
	if _, err := io.ReadFull(file, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	there.server.CloseClientConnections()
	if n, err := io.Copy(io.Discard, file); err == nil {
		t.Errorf("%d bytes of %d are all", n+10, len(whole))
	}
	must(t, file.Close())
}

// damagedVault gives out half of what it has.
type damagedVault struct{ archive.Vault }

func (damagedVault) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the disk is broken")))), nil
}

func TestDamagedDiskIsNoEnd(t *testing.T) {
	served := Served{Archives: console.NewArchives(console.ArchivesOptions{Vault: damagedVault{}}), Log: slog.New(slog.DiscardHandler)}
	server := httptest.NewTLSServer(served.Handler())
	defer server.Close()
	file, err := New(server.Client(), nil).Get(t.Context(), server.Listener.Addr().String(), "fair-1.x")
	if err != nil {
		return // it broke before anything came
	}
	if got, err := io.ReadAll(file); err == nil {
		t.Errorf("%q is all there is", got)
	}
	must(t, file.Close())
}

func TestDownloadOfAnother(t *testing.T) {
	all := newMembers(t, 3)
	for part, want := range map[string]string{"": string(all[2].binary), "bytes=6-12": string(all[2].binary[6:13])} {
		resp, err := all[0].Download(t.Context(), all[2].sum, part)
		must(t, err)
		got, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || string(got) != want || resp.ContentLength != int64(len(want)) {
			t.Errorf("of %q: %d bytes, %v", part, len(got), err)
		}
	}
	for _, sum := range []string{strings.Repeat("0", 64), "../vault/x", all[0].sum} {
		if resp, err := all[0].Download(t.Context(), sum, ""); !errors.Is(err, console.ErrNotFound) {
			t.Errorf("%s: %v, %v", sum, resp, err)
		}
	}
	gone := New(all[0].http, func(context.Context) ([]string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close() //nolint:errcheck // nobody listens there any more
		return []string{l.Addr().String(), all[1].address}, nil
	})
	resp, err := gone.Download(t.Context(), all[1].sum, "")
	must(t, err)
	must(t, resp.Body.Close())
}

// TestPeersShowLogs: a log is at the one console that an instance sent it to.
func TestPeersShowLogs(t *testing.T) {
	three := newMembers(t, 3)
	three[2].log = []byte("what it sent")
	if got, err := three[0].SentLog(t.Context(), "fair-abc-1", "its command"); err != nil || string(got) != "what it sent" {
		t.Errorf("the log is %q, %v", got, err)
	}
	three[1].server.Close()
	if _, err := three[0].SentLog(t.Context(), "fair-abc-1", "its command"); err != nil {
		t.Errorf("with a console lost: %v", err)
	}
	if _, err := three[0].SentLog(t.Context(), "fair-abc-1", "another"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a log that nobody sent: %v", err)
	}
	three[2].log = bytes.Repeat([]byte("x"), wire.MaxLogs+1)
	if _, err := three[0].SentLog(t.Context(), "fair-abc-1", "its command"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("more than a log may be: %v", err)
	}
}
