package catalogue

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/apps"
)

// Every folder of the catalogue is an app with a page about it and an icon.
func TestEveryShippedAppIsComplete(t *testing.T) {
	folders, err := filepath.Glob(shipped("*/app.yaml"))
	if err != nil || len(folders) < 4 {
		t.Fatalf("%v, %v", folders, err)
	}
	for _, path := range folders {
		dir := filepath.Dir(path)
		m := manifest(t, filepath.Base(dir))
		if string(m.ID) != filepath.Base(dir) {
			t.Errorf("%s has the id %s", dir, m.ID)
		}
		if m.Description == "" || m.License == "" || m.HealthCheck.Contains == "" || m.Lifetime.DefaultTTL == 0 || m.Resources.Memory == 0 {
			t.Errorf("%s leaves out what a launch page shows, or its health check looks at the status alone", m.ID)
		}
		if about, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || !strings.HasPrefix(string(about), "# ") {
			t.Errorf("%s: %v", m.ID, err)
		}
		wellFormed(t, filepath.Join(dir, m.Icon))
		if m.Service.Repository == "" {
			for _, folder := range []string{m.Service.RootDir, filepath.Join(m.Service.RootDir, m.Serve.PublishPath)} {
				if info, err := os.Stat(filepath.Join(dir, folder)); err != nil || !info.IsDir() {
					t.Errorf("%s: its folder %q is not there", m.ID, folder)
				}
			}
		}
		if m.Data != nil && m.Data.Source == apps.SourceFolder {
			if info, err := os.Stat(filepath.Join(dir, m.Data.URL, m.Data.Extract)); err != nil {
				t.Errorf("%s has no sample: %v, %v", m.ID, info, err)
			}
		}
	}
}

func wellFormed(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
	}
}

// The notice board's gate holds what would not be a board.
func TestNoticeGate(t *testing.T) {
	m := manifest(t, "notice")
	gate := func(dir string) error {
		cmd := exec.Command("/bin/sh", "-c", m.Data.Check.Command)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := gate(filepath.Join(shipped("notice"), m.Data.URL)); err != nil {
		t.Errorf("the sample is refused: %v", err)
	}
	for name, files := range map[string]map[string]string{
		"no file": {"other.txt": "# Title\n"}, "empty": {"notices.txt": ""}, "no title": {"notices.txt": "## A notice\n\ntext\n"}, "a page": {"notices.txt": "<h1>x</h1>"},
	} {
		if gate(plant(t, files)) == nil {
			t.Errorf("%s passes the gate", name)
		}
	}
}

// What the health check asks for is served from the data, and the page finds all it names.
func TestNoticeIsServed(t *testing.T) {
	m := manifest(t, "notice")
	site := serveStatic(t, filepath.Join(shipped("notice"), m.Service.RootDir), m.Data.Mount, filepath.Join(shipped("notice"), m.Data.URL))
	if status, body := get(t, site+m.HealthCheck.HTTPPath); status != 200 || !strings.Contains(body, m.HealthCheck.Contains) {
		t.Errorf("health: %d %s", status, body)
	}
	_, page := get(t, site+"/")
	named := 0
	elements(t, page, func(name string, attributes map[string]string) {
		for _, key := range []string{"src", "href"} {
			if to := attributes[key]; to != "" {
				named++
				if status, _ := get(t, site+"/"+to); status != 200 {
					t.Errorf("%s names %s: %d", name, to, status)
				}
			}
		}
	})
	if named < 3 {
		t.Errorf("the page names %d files", named)
	}
	for _, path := range []string{"/app.yaml", "/README.md", "/sample/notices.txt", "/data/"} {
		if status, _ := get(t, site+path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	bare := serveStatic(t, filepath.Join(shipped("notice"), m.Service.RootDir), "", "")
	if status, _ := get(t, bare+m.HealthCheck.HTTPPath); status != 404 {
		t.Errorf("without data the health check gets %d", status)
	}
}

// No shipped app lives for ever, and none ends before a day is over.
func TestLifetimes(t *testing.T) {
	for _, id := range []string{"notice", "guestbook", "qa-board", "open-qa"} {
		l := manifest(t, id).Lifetime
		if time.Duration(l.DefaultTTL) < 24*time.Hour || l.MaxTTL < l.DefaultTTL {
			t.Errorf("%s: %+v", id, l)
		}
	}
}
