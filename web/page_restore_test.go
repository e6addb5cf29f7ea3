package web

import (
	"strings"
	"testing"

	"popup/console"
)

// TestLaunchWithABackup: from an event's page to the form, and what is wrong beside it.
func TestLaunchWithABackup(t *testing.T) {
	page := eventPageData{launches: launchesOf(console.Actor{Role: console.RoleOrganiser},
		[]console.Deployment{{ID: "d1", App: "guestbook"}, {ID: "d2", App: "wall", Repository: "https://example.org/wall"}},
		[]console.InstanceView{{Instance: console.Instance{ID: "fair-1", Deployment: "d1"}}, {Instance: console.Instance{ID: "fair-2", Deployment: "d2"}}})}
	lines := page.archiveLines(console.Event{Zone: "UTC"}, []console.Archive{{Instance: "fair-1", Name: "a.tar.zst"}, {Instance: "fair-1", Name: "b.tar.zst"}, {Instance: "fair-2", Name: "c.tar.zst"}, {Instance: "gone", Name: "d"}}, noon)
	for n, want := range []string{"/launch?app=guestbook&restore=fair-1%2Fa.tar.zst", "/launch?app=guestbook&restore=fair-1%2Fb.tar.zst", "", ""} {
		if lines[n].LaunchPath != want {
			t.Errorf("%s leads to %q, want %q", lines[n].Title, lines[n].LaunchPath, want)
		}
	}
	s := newSite(t)
	s.claim(t)
	v := s.visitor(t)
	v.open("/sign-in").send("/sign-in", "name", "olga", "password", password).sees(200)
	v.open("/launch?app=guestbook&restore=fair-1%2Fa.tar.zst").sees(200, `name="apps[0].restore" value="fair-1/a.tar.zst"`, "<details open>")
	if strings.Contains(v.body, "apps[0].volume") {
		t.Error("a volume is offered where no cloud keeps one")
	}
	v.send("/launch", "step", "check", "event.title", "Our fair").sees(422, "There is no such backup", `value="fair-1/a.tar.zst"`)
	if v.open("/launch?app=" + string(testApp)).sees(200); strings.Contains(v.body, "apps[0].restore") {
		t.Error("a backup is asked for where nothing is kept")
	}
}
