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

// boardWords are the last of every page of the board.
const boardWords = "Board complete:"

// TestContainerBoard is the main job on a machine: user-data in, the board with
// the data of its day out, the next day without a failed request, and all of it
// again after a reboot.
func TestContainerBoard(t *testing.T) {
	days := testutil.Days(t, 2)
	link, s := newLink(t)
	s.commitApp("qa-board")
	s.data.CommitDay(days[0])
	userData := s.userData("--data", s.dataURL(), "--format", "script")

	began := time.Now()
	g := launch(t, "board", link, s, userData, nil)
	page(t, g.url(), days[0].Name, time.Minute)
	t.Logf("from launch to a served page: %v", time.Since(began).Round(10*time.Millisecond))
	g.tellsTheTruth()

	readers := startLoad(t, g.url(), boardWords)
	s.data.CommitDay(days[1])
	t.Log(g.inside("popup", "sync"))
	page(t, g.url(), days[1].Name, time.Second)
	readers.stop(t)
	g.tellsTheTruth()

	const inode = "/var/lib/popup/service"
	release := g.inside("stat", "-L", "-c", "%i %Z", inode+"/"+s.service.Head())
	began = time.Now()
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	page(t, g.url(), days[1].Name, time.Minute)
	t.Logf("from reboot to a served page: %v", time.Since(began).Round(10*time.Millisecond))
	g.tellsTheTruth()
	if again := g.inside("stat", "-L", "-c", "%i %Z", inode+"/"+s.service.Head()); again != release {
		t.Errorf("the release was installed again: it was %s, it is %s", release, again)
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
	for _, format := range []string{"cloud-config", "mime"} {
		t.Run(format, func(t *testing.T) {
			link, s := newLink(t)
			s.commitApp("notice")
			s.data.Commit(map[string]string{"notices.txt": "# Fair\n\n2026-05-01 The fair is on\n"})
			began := time.Now()
			g := launch(t, "notice", link, s, s.userData("--data", s.dataURL(), "--format", format), nil)
			page(t, g.url()+"/data/notices.txt", "The fair is on", time.Minute)
			t.Logf("from launch to a served page: %v", time.Since(began).Round(10*time.Millisecond))
			g.tellsTheTruth()
		})
	}
}

// TestContainerPackages launches an app that needs a package the machine does
// not have, and finds it in a repository on the machine's own network.
func TestContainerPackages(t *testing.T) {
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

// TestContainerEnds launches an app whose end has come: the machine turns itself off.
func TestContainerEnds(t *testing.T) {
	link, s := newLink(t)
	s.commitApp("notice")
	s.data.Commit(map[string]string{"notices.txt": "# Fair\n"})
	userData := s.userData("--data", s.dataURL(), "--until", "2m")
	began := time.Now()
	g := launch(t, "ends", link, s, userData, nil)
	page(t, g.url()+"/data/notices.txt", "# Fair", time.Minute)
	select {
	case <-g.Done():
	case <-time.After(5 * time.Minute):
		t.Fatalf("the end was in 2 minutes, and after %v the machine runs: %+v", time.Since(began), g.status().End)
	}
	if state, err := g.State(); state != machine.PoweredOff || err != nil {
		t.Errorf("after its end the machine is %s (%v), it was to turn itself off", state, err)
	}
	t.Logf("turned off %v after its launch", time.Since(began).Round(time.Second))
}

// TestContainerSaysWhy launches an app whose data is not there: the page says
// that it is not up without telling strangers more, status says why, and the app
// comes up once there is data.
func TestContainerSaysWhy(t *testing.T) {
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
