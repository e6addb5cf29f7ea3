package vm

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/machine"
	"popup/internal/sandbox"
	"popup/internal/testutil"
	"popup/userdata"
)

// These tests start this binary as keepers of machines.
func TestMain(m *testing.M) {
	for _, main := range []func([]string) (bool, int){sandbox.Main, machine.Main, Main} {
		if handled, code := main(os.Args); handled {
			os.Exit(code)
		}
	}
	if dir := os.Getenv(holderVar); dir != "" {
		os.Exit(holdForEver(dir))
	}
	os.Exit(m.Run())
}

// A site is a folder with virtual machines.
type site struct {
	*Cloud
	t    *testing.T
	opts Options
}

func open(t *testing.T) *site {
	t.Helper()
	base, err := os.MkdirTemp("", "popup-v-") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, opts: Options{Dir: filepath.Join(base, "machines"), Host: "127.0.0.1", Log: slog.New(slog.DiscardHandler),
		Image: machine.ImageConfig{Packages: []string{"php-fpm"}, Cache: filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine")}}}
	s.open()
	t.Cleanup(s.clear)
	return s
}

func (s *site) open() {
	s.t.Helper()
	c, err := Open(s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Cloud = c
}

func (s *site) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
}

// clear ends all that there is, and looks whether it is gone.
func (s *site) clear() {
	s.close()
	s.open()
	for _, m := range s.all() {
		if s.t.Failed() {
			for _, name := range []string{"output", "status.json", "console.log"} {
				text, err := os.ReadFile(filepath.Join(s.opts.Dir, m.Instance, name))
				s.t.Logf("%s of %s, %v:\n%s", name, m.Instance, err, text[max(0, len(text)-6<<10):])
			}
		}
		s.end(m.Instance)
	}
	s.close()
}

func (s *site) all() []console.Machine {
	s.t.Helper()
	machines, err := s.Machines(context.WithoutCancel(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	return machines
}

// end ends a machine, and looks for what may be left of it: files, processes, sockets.
func (s *site) end(instance string) {
	s.t.Helper()
	m := s.machineOf(instance)
	if err := s.Terminate(context.WithoutCancel(s.t.Context()), instance); err != nil {
		s.t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(s.opts.Dir, instance), runOf(s.opts.Dir, m.ID)} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			s.t.Errorf("%s is left, %v", path, err)
		}
	}
	if left := processes(s.opts.Dir, instance, m.ID); len(left) > 0 {
		s.t.Errorf("processes %v are left", left)
	}
}

// processes name an instance's folder or its machine on their command line.
func processes(dir, instance, id string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if bytes.Contains(line, []byte(filepath.Join(dir, instance)+"\x00")) || bytes.Contains(line, []byte(id)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// machineOf is what the cloud says of an instance.
func (s *site) machineOf(instance string) console.Machine {
	s.t.Helper()
	for _, m := range s.all() {
		if m.Instance == instance {
			return m
		}
	}
	s.t.Fatalf("there is no instance %s", instance)
	return console.Machine{}
}

// ask asks for a machine whose user-data also does what lines say, before all else.
func ask(t *testing.T, instance string, lines ...string) console.Launch {
	t.Helper()
	plan, err := userdata.DecodePlan([]byte(`plan_version: 1
manifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}
service: {url: "https://example.org/x.git"}
`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := userdata.Render(userdata.Spec{
		Plan:   plan,
		Binary: userdata.Binary{URLs: []string{"https://example.org/popup-linux-{arch}"}, SHA256: map[string]string{"amd64": strings.Repeat("0", 64)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	script := strings.Join(append(append([]string{"#!/bin/sh"}, lines...), ""), "\n")
	data = bytes.Replace(data, []byte("#!/bin/sh\n"), []byte(script), 1)
	return console.Launch{Instance: instance, Event: "fair", EventID: "e1", Deployment: "d1", App: "toy", UserData: data}
}

// get is what an address answers; nothing where nobody does.
func get(address string) string {
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, _ := io.ReadAll(resp.Body)         // what came is looked at
	return string(text)
}
