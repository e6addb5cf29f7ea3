package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"popup/datasync"
	"popup/internal/machine"
	"popup/internal/testutil"
)

// TestContainerBoard is the main job on a machine: user-data in, the board with
// the data of its day out, the next day without a failed request, and all of it
// again after a reboot.
func TestContainerBoard(t *testing.T) {
	t.Parallel()
	days := testutil.Days(t, 6)
	link, s := newLink(t)
	s.commitApp("qa-board")
	s.data.CommitDay(days[0])
	userData := s.userData("--data", s.dataURL(), "--format", "script")

	g := launch(t, "board", link, s, userData, nil)
	page(t, g.url(), boardOf(t, days[0]), time.Minute)
	g.logServed("launch", g.started)
	g.tellsTheTruth()

	readers := startLoad(t, g.url(), boardWords, 20*time.Millisecond)
	for _, day := range days[1:] {
		s.data.CommitDay(day)
		t.Log(g.inside("popup", "sync"))
		page(t, g.url(), boardOf(t, day), 10*time.Second)
	}
	readers.stop(t)
	g.tellsTheTruth()

	release := "/var/lib/popup/service/" + s.service.Head()
	installed := g.inside("stat", "-c", "%i %Z", release)
	began := time.Now()
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	page(t, g.url(), boardOf(t, days[len(days)-1]), time.Minute)
	g.logServed("reboot", began)
	g.tellsTheTruth()
	if again := g.inside("stat", "-c", "%i %Z", release); again != installed {
		t.Errorf("the release was installed again: inode and change were %s, they are %s", installed, again)
	}
	if n := s.requests("/popup"); n != 1 {
		t.Errorf("popup was downloaded %d times, for one machine", n)
	}
}

// tellsTheTruth compares what popup status says inside with what is upstream.
func (g *guest) tellsTheTruth() {
	g.t.Helper()
	status := g.status()
	if !status.Live || !status.Healthy {
		g.t.Errorf("status: live is %v, healthy is %v (%s), and the page is served", status.Live, status.Healthy, status.Why)
	}
	release, revision := datasync.Revision(g.site.service.Head()), datasync.Revision(g.site.data.Head())
	if s := status.Serving; s == nil || s.Release != release || s.Revision != revision {
		g.t.Errorf("status says that %+v is served, upstream is at %s and %s", s, release, revision)
	}
}

// TestContainerFormats launches by the other two kinds of user-data.
func TestContainerFormats(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"cloud-config", "mime"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			link, s := newLink(t)
			s.commitApp("notice")
			s.data.Commit(map[string]string{"notices.txt": "# Fair\n\n2026-05-01 The fair is on\n"})
			g := launch(t, "notice", link, s, s.userData("--data", s.dataURL(), "--format", format), nil)
			page(t, g.url()+"/data/notices.txt", "The fair is on", time.Minute)
			g.logServed("launch", g.started)
			g.tellsTheTruth()
		})
	}
}

// TestContainerPackages launches an app that needs a package the machine does
// not have, and finds it in a repository on the machine's own network.
func TestContainerPackages(t *testing.T) {
	t.Parallel()
	link, s := newLink(t)
	s.service.Commit(map[string]string{"app.yaml": `manifest_version: 1
id: packaged
name: Packaged
packages: {apt: [` + aptPackage + `]}
build_command: ` + aptPackage + ` --version >version.txt
serve: {type: static}
health_check: {http_path: /version.txt, contains: "` + aptPackage + ` v"}
`})
	s.serveApt()
	files := map[string][]byte{"/etc/apt/sources.list": []byte("deb [trusted=yes] " + s.url + "/apt ./\n")}
	g := launch(t, "packaged", link, s, s.userData(), files)
	page(t, g.url()+"/version.txt", aptPackage+" v", time.Minute)
	if state := g.inside("dpkg-query", "--show", "--showformat", "${db:Status-Status}", aptPackage); state != "installed" {
		t.Errorf("the package is %q", state)
	}
	if !g.status().Healthy {
		t.Errorf("status: %+v", g.status())
	}
}

// TestContainerEnds launches an app whose end is near: the machine turns itself
// off. The clock that says so is confirmed by the dates of two hosts, which here
// are two names of one.
func TestContainerEnds(t *testing.T) {
	t.Parallel()
	link, s := newLink(t)
	s.commitApp("notice")
	s.data.Commit(map[string]string{"notices.txt": "# Fair\n"})
	const other = "other.test"
	files := map[string][]byte{"/etc/cloud/templates/hosts.debian.tmpl": fmt.Appendf(nil,
		"## template:jinja\n127.0.0.1 localhost\n127.0.1.1 {{hostname}}\n%s %s\n", link.HostAddr(), other)}
	dataURL := strings.Replace(s.dataURL(), link.HostAddr().String(), other, 1)
	image(t) // made before the time begins to run: without a cache that takes a minute
	userData := s.userData("--data", dataURL, "--until", "90s")
	g := launch(t, "ends", link, s, userData, files)
	page(t, g.url()+"/data/notices.txt", "# Fair", time.Minute)
	select {
	case <-g.Done():
	case <-time.After(4 * time.Minute):
		t.Fatalf("the end was in 90 s, and after %v the machine runs: %+v", time.Since(g.started), g.status().End)
	}
	if state, err := g.State(); state != machine.PoweredOff || err != nil {
		t.Errorf("after its end the machine is %s (%v), it was to turn itself off", state, err)
	}
	t.Logf("turned off %v after its launch", time.Since(g.started).Round(time.Second))
}

// TestContainerSaysWhy launches an app whose data is not there: the page says
// that it is not up without telling strangers more, status says why, and the app
// comes up once there is data.
func TestContainerSaysWhy(t *testing.T) {
	t.Parallel()
	link, s := newLink(t)
	s.commitApp("notice")
	g := launch(t, "why", link, s, s.userData("--data", s.dataURL()), nil)
	why := ""
	eventually(t, time.Minute, "status says what is wrong", func() error {
		out, err := g.Exec(t.Context(), "popup", "status")
		if !strings.Contains(out, "empty") || !strings.Contains(out, s.dataURL()) {
			return fmt.Errorf("popup status: %w\n%s", err, out)
		}
		why = out
		return nil
	})
	t.Logf("status says:\n%s", why)
	if _, err := get(t.Context(), g.url()); err == nil || !strings.HasPrefix(err.Error(), "503") {
		t.Errorf("the page of an app without data: %v", err)
	} else if strings.Contains(err.Error(), s.url) {
		t.Errorf("the page tells strangers where the data is: %v", err)
	}
	s.data.Commit(map[string]string{"notices.txt": "# Fair\n"})
	page(t, g.url()+"/data/notices.txt", "# Fair", 2*time.Minute)
}
