// Package kepttest is what the tests of the clouds of this machine have in common: a
// folder with machines, what they are asked for, and how it is seen that they are there,
// and gone.
package kepttest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/machine"
	"popup/internal/testutil"
	"popup/userdata"
)

// A Site is a folder with machines.
type Site struct {
	T        testing.TB
	Patience time.Duration        // bounds every wait; nothing takes that long but a failure
	Opened   func() console.Cloud // the cloud that is open now
}

// Eventually waits until what holds.
func (s *Site) Eventually(what string, holds func() bool) {
	s.T.Helper()
	Eventually(s.T, s.Patience, what, holds)
}

// Eventually waits until what holds, as long as patience lasts.
func Eventually(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(patience)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}

// All are the machines as the cloud lists them, also when the test is over.
func (s *Site) All() []console.Machine {
	s.T.Helper()
	machines, err := s.Opened().Machines(context.WithoutCancel(s.T.Context()))
	if err != nil {
		s.T.Fatal(err)
	}
	return machines
}

// MachineOf is what the cloud says of an instance.
func (s *Site) MachineOf(instance string) console.Machine {
	s.T.Helper()
	for _, m := range s.All() {
		if m.Instance == instance {
			return m
		}
	}
	s.T.Fatalf("there is no instance %s", instance)
	return console.Machine{}
}

// AwaitState waits until an instance is in a state, with detail in its sentence.
func (s *Site) AwaitState(instance string, state console.MachineState, detail string) console.Machine {
	s.T.Helper()
	var m console.Machine
	s.Eventually(fmt.Sprintf("%s is %s, %q", instance, state, detail), func() bool {
		m = s.MachineOf(instance)
		return m.State == state && strings.Contains(m.Detail, detail)
	})
	return m
}

// Start launches what is asked for.
func (s *Site) Start(l console.Launch) console.Machine {
	s.T.Helper()
	m, err := s.Opened().Launch(s.T.Context(), l)
	if err != nil {
		s.T.Fatal(err)
	}
	return m
}

// End ends an instance's machine, also when the test is over.
func (s *Site) End(instance string) {
	s.T.Helper()
	if err := s.Opened().Terminate(context.WithoutCancel(s.T.Context()), instance); err != nil {
		s.T.Fatal(err)
	}
}

// Tell logs the end of what an instance's machine left to read in its folder.
func (s *Site) Tell(dir string) {
	s.T.Helper()
	for _, name := range []string{"output", "status.json", "console.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		s.T.Logf("%s of %s, %v:\n%s", name, filepath.Base(dir), err, text[max(0, len(text)-6<<10):])
	}
}

// Await waits until an address answers with text, and returns all of it.
func (s *Site) Await(address, text string) (body string) {
	s.T.Helper()
	s.Eventually(fmt.Sprintf("%s answers with %q", address, text), func() bool {
		body = Get(address)
		return strings.Contains(body, text)
	})
	return body
}

// Get is what an address answers; nothing where nobody does.
func Get(address string) (body string) {
	_, body = Fetch(address)
	return body
}

// Fetch is Get, with the status; 0: nobody answers.
func Fetch(address string) (status int, body string) {
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		return 0, ""
	}
	text, err := io.ReadAll(resp.Body)
	if errors.Join(err, resp.Body.Close()) != nil {
		return 0, ""
	}
	return resp.StatusCode, string(text)
}

// Answer is a console that says its name, to whoever comes by what listen opens.
func (s *Site) Answer(listen func() (net.Listener, error), name string) *httptest.Server {
	s.T.Helper()
	listener, err := listen()
	if err != nil {
		s.T.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, TLS: &tls.Config{}, Config: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, name, r.URL.Path) })}}
	server.StartTLS()
	s.T.Cleanup(server.Close)
	return server
}

// Folder is one that is removed when the test is over, which is wrong while something is
// mounted in it, and whose name is short enough for sockets.
func Folder(t testing.TB, pattern string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Image is what machines of tests start from. Where there is none yet it is built: that
// takes longer than tests wait for a machine.
func Image(t testing.TB, kernel bool) machine.ImageConfig {
	t.Helper()
	cfg := machine.ImageConfig{Packages: []string{"php-fpm"}, Kernel: kernel, Cache: filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine")}
	image, err := machine.BuildImage(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Close(); err != nil {
		t.Error(err)
	}
	return cfg
}

// Silent is a log that nobody reads.
func Silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Processes are those of this machine, but for this one, that a test is looking for, by
// their folder in /proc.
func Processes(t testing.TB, is func(proc string) bool) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && is(filepath.Join("/proc", e.Name())) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Read is what a file holds; nothing where it is gone, as files of processes are.
func Read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// Render makes user-data, with a popup to download that there is not.
func Render(t testing.TB, spec userdata.Spec) []byte {
	t.Helper()
	spec.Binary = userdata.Binary{URLs: []string{"https://example.org/popup-linux-{arch}"}, SHA256: map[string]string{"amd64": strings.Repeat("0", 64)}}
	data, err := userdata.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Plan reads a plan that is written as a config.
func Plan(t testing.TB, text string) userdata.Spec {
	t.Helper()
	plan, err := userdata.DecodePlan([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return userdata.Spec{Plan: plan}
}

// Ask asks for a machine whose user-data also does what lines say, before all else.
func Ask(t testing.TB, instance string, lines ...string) console.Launch {
	t.Helper()
	data := Render(t, Plan(t, `plan_version: 1
manifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}
service: {url: "https://example.org/x.git"}
`))
	script := strings.Join(append(append([]string{"#!/bin/sh"}, lines...), ""), "\n")
	return console.Launch{Instance: instance, Event: "fair", EventID: "e1", Deployment: "d1", App: "toy",
		UserData: []byte(strings.Replace(string(data), "#!/bin/sh\n", script, 1))}
}
