package launcher

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/archive"
	"popup/internal/testutil/vaulttest"
	"popup/internal/wire"
	"popup/launcher/backup"
)

// A vaultServer is the vault of a console, as an instance sees it.
type vaultServer struct {
	t     *testing.T
	vault archive.Vault
	http2 bool
	puts  atomic.Int64 // that were not answered by before
	// before, where it answers true, answers a request instead.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu  sync.Mutex
	key ed25519.PublicKey
}

// openConsoleVault is a vault of an instance that enrolled with s.
func openConsoleVault(t *testing.T, s *vaultServer) *consoleVault {
	t.Helper()
	var err error
	if s.vault, err = archive.FolderVault(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s.t = t
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = s.http2
	server.StartTLS()
	t.Cleanup(server.Close)
	l := linked(t, t.TempDir(), wire.Console{URL: server.URL, Token: token, Pin: wire.PinOf(server.Certificate())}).console
	t.Cleanup(l.archives.CloseIdleConnections)
	l.archives.Transport.(*http.Transport).ExpectContinueTimeout = 200 * time.Millisecond
	if err := l.enrolOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := l.vault()
	v.wait = func(int, error) time.Duration { return time.Millisecond }
	return v
}

func (s *vaultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if (r.ProtoMajor == 2) != s.http2 {
		s.t.Errorf("it speaks %s", r.Proto)
	}
	if r.URL.Path == wire.PathEnrol {
		s.enrol(w, r)
		return
	}
	if s.before != nil && s.before(w, r) {
		return
	}
	name, ours := strings.CutPrefix(r.URL.Path, wire.PathVault)
	digest, err := wire.ParseDigest(r.Header.Get(wire.HeaderDigest))
	s.mu.Lock()
	signed := wire.Signed{Method: r.Method, Path: r.URL.Path, Instance: r.Header.Get(wire.HeaderInstance), Digest: digest}
	if !ours || (err == nil) != (r.Method == http.MethodPut) || !signed.VerifiedBy(s.key, r.Header.Get(wire.HeaderSignature)) {
		s.t.Errorf("%s %s is not signed by the instance, or its digest: %v", r.Method, r.URL.Path, err)
	}
	s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
		s.puts.Add(1)
		s.put(w, r, name)
	case name == "":
		s.list(w, r)
	default:
		s.get(w, r, name)
	}
}

func (s *vaultServer) enrol(w http.ResponseWriter, r *http.Request) {
	var e wire.Enrolment
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.key = e.Key
	s.mu.Unlock()
	polite(w, r)
}

func (s *vaultServer) put(w http.ResponseWriter, r *http.Request, name string) {
	digest, err := wire.ParseDigest(r.Header.Get(wire.HeaderDigest))
	if err != nil {
		s.t.Error(err)
	}
	sum, size, err := s.sum(r.Context(), name)
	if err == nil && !bytes.Equal(sum, digest) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"detail": "another archive has that name"}`)
		return
	}
	if errors.Is(err, archive.ErrNotFound) {
		if err := s.vault.Put(r.Context(), name, r.Body); err != nil {
			return // the other side went away
		}
		if sum, size, err = s.sum(r.Context(), name); err != nil || !bytes.Equal(sum, digest) {
			s.t.Errorf("what came is not what was said: %v", err)
		}
	}
	_ = json.NewEncoder(w).Encode(wire.KeptArchive{Name: name, Size: size, SHA256: hex.EncodeToString(sum), Since: time.Now()})
}

func (s *vaultServer) sum(ctx context.Context, name string) (sum []byte, size int64, err error) {
	in, err := s.vault.Get(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(hash, in)
	return hash.Sum(nil), size, errors.Join(err, in.Close())
}

func (s *vaultServer) list(w http.ResponseWriter, r *http.Request) {
	items, err := s.vault.List(r.Context())
	list := wire.VaultList{Version: wire.VaultVersion, Archives: []wire.KeptArchive{{Name: "../from/elsewhere"}}}
	for _, item := range items {
		sum, size, sumErr := s.sum(r.Context(), item.Name)
		err = errors.Join(err, sumErr)
		list.Archives = append(list.Archives, wire.KeptArchive{Name: item.Name, Size: size, SHA256: hex.EncodeToString(sum), Since: item.Modified})
	}
	if err != nil {
		s.t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (s *vaultServer) get(w http.ResponseWriter, r *http.Request, name string) {
	in, err := s.vault.Get(r.Context(), name)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, err = io.Copy(w, in)
	if err := errors.Join(err, in.Close()); err != nil {
		s.t.Error(err)
	}
}

func TestConsoleVault(t *testing.T) {
	bothProtocols(t, func(t *testing.T, http2 bool) {
		vaulttest.Run(t, vaulttest.Options{Keeps: true, Open: func(t *testing.T) archive.Vault { return openConsoleVault(t, &vaultServer{http2: http2}) }})
	})
}

// bothProtocols are what a console may speak.
func bothProtocols(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, true) })
}

// TestConsoleVaultInsists: what may pass by itself is tried again, until it is there.
func TestConsoleVaultInsists(t *testing.T) { bothProtocols(t, testInsists) }

func testInsists(t *testing.T, http2 bool) {
	var enough chan struct{} // a server whose handler left a body unread sees nobody leave
	for name, misbehave := range map[string]http.HandlerFunc{
		"busy": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"full": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInsufficientStorage) },
		"gone": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"gone half": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
			panic(http.ErrAbortHandler)
		},
		"a hotel": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>sign in</html>") },
		"something else": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"name": "a", "size": 65536, "sha256": %q}`, strings.Repeat("0", 64))
		},
		"silent": func(http.ResponseWriter, *http.Request) { <-enough },
		"silent half": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
			<-enough
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			s := &vaultServer{http2: http2, before: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == wire.PathVault || asked.Add(1)%2 == 0 {
					return false
				}
				misbehave(w, r)
				return true
			}}
			v := openConsoleVault(t, s)
			enough = make(chan struct{})
			defer close(enough)
			if strings.HasPrefix(name, "silent") {
				v.silence = 500 * time.Millisecond
			}
			content := strings.Repeat("an archive, ", 64<<10/12)
			if err := v.Put(t.Context(), "a", strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			if name == "something else" || name == "a hotel" {
				asked.Store(1) // it would be read as an archive
			}
			vaulttest.Contains(t, v, "a "+content)
		})
	}
}

// TestLostAnswerCostsNoUpload: an archive that came is not sent again.
func TestLostAnswerCostsNoUpload(t *testing.T) {
	s := &vaultServer{}
	lost := false
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || lost {
			return false
		}
		lost = true
		s.puts.Add(1)
		s.put(httptest.NewRecorder(), r, "a")
		panic(http.ErrAbortHandler)
	}
	v := openConsoleVault(t, s)
	if err := v.Put(t.Context(), "a", strings.NewReader("an archive")); err != nil {
		t.Fatal(err)
	}
	if n := s.puts.Load(); n != 1 || !lost {
		t.Errorf("it was sent %d times", n)
	}
}

// TestNoOfTheConsoleStands, is said in its words, and comes before the archive is sent.
func TestNoOfTheConsoleStands(t *testing.T) { bothProtocols(t, testNoStands) }

func testNoStands(t *testing.T, http2 bool) {
	var asked, read atomic.Int64
	v := openConsoleVault(t, &vaultServer{http2: http2, before: func(w http.ResponseWriter, r *http.Request) bool {
		asked.Add(1)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		fmt.Fprint(w, `{"detail": "an archive may have 10 bytes; have the app clean up"}`)
		return true
	}})
	sent := &countingTransport{v.link.archives.Transport, &read}
	v.link.archives.Transport = sent
	err := v.Put(t.Context(), "a", bytes.NewReader(make([]byte, 8<<20)))
	want := `put backup "a": the console answers 413 Request Entity Too Large: an archive may have 10 bytes; have the app clean up`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if asked.Load() != 1 || read.Load() > 0 {
		t.Errorf("it was asked %d times, and %d bytes were sent", asked.Load(), read.Load())
	}
}

// A countingTransport counts the bytes of bodies.
type countingTransport struct {
	http.RoundTripper
	read *atomic.Int64
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	body := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{readFunc(func(p []byte) (int, error) {
		n, err := body.Read(p)
		c.read.Add(int64(n))
		return n, err
	}), body}
	return c.RoundTripper.RoundTrip(r)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestAnswerThatStopsHalfway is an error that says so, and no backup.
func TestAnswerThatStopsHalfway(t *testing.T) {
	v := openConsoleVault(t, &vaultServer{before: func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}})
	v.silence = 300 * time.Millisecond
	in, err := v.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "half" || err == nil || !errors.Is(err, errSilent) {
		t.Errorf("%q, %v", got, err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

// TestLargeArchiveTakesLittleMemory, whatever its size: it goes through a file without a
// name, so that a kill leaves nothing.
func TestLargeArchiveTakesLittleMemory(t *testing.T) {
	const large, larger = 128 << 20, 300 << 20
	s := &vaultServer{}
	v := openConsoleVault(t, s)
	sparse := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(sparse, 0o755); err != nil {
		t.Fatal(err)
	}
	state, err := os.OpenRoot(sparse)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = state.Close() }() // it was only read
	zeros, err := state.Create("sparse")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(zeros.Truncate(larger), zeros.Close(), state.Chtimes("sparse", time.Unix(1, 0), time.Unix(1, 0))); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	noise := io.LimitReader(rand.NewChaCha8([32]byte{}), large)
	if err := v.Put(t.Context(), "noise", io.MultiReader(noise, readFunc(func([]byte) (int, error) {
		if left, err := os.ReadDir(v.dir); err != nil || len(left) > 0 {
			t.Errorf("while it is sent there are %v, %v", left, err)
		}
		return 0, io.EOF
	}))); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Save(t.Context(), v, "sparse", state, backup.SaveOptions{TakeOptions: backup.TakeOptions{Final: true}}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 96<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
	items, err := s.vault.List(t.Context())
	if err != nil || len(items) != 2 || items[0].Size != large {
		t.Errorf("the console has %+v, %v", items, err)
	}
}

// TestVaultOfAConsoleNeedsOne.
func TestVaultOfAConsoleNeedsOne(t *testing.T) {
	plan := wire.Plan{State: wire.State{Vault: wire.VaultConsole}}
	want := `read the plan: state.vault is "console:", and the plan names no console; name one, or a folder`
	if _, err := open(t.Context(), Options{Root: t.TempDir(), Plan: plan}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
