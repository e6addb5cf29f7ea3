//go:build browser

package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"popup/internal/testutil"
	"popup/templates"
)

// A tour comes past every page of the console, and looks at each by daylight and at
// night, in a window and on a phone.
type tour struct {
	t    *testing.T
	site *site
	axe  string
	out  string // where pictures go; empty: none are taken
	seen map[string]bool
}

// at looks at the page where b is: one of the table of templates, and in which state
// (empty: the usual one).
func (r *tour) at(b *tab, name, state string) {
	r.t.Helper()
	r.seen[name] = true
	if state != "" {
		name += "-" + state
	}
	for _, phone := range []bool{false, true} {
		b.must(chromedp.Do(b.ctx, window(phone)))
		for _, dark := range []bool{false, true} {
			b.theme(dark)
			for _, barrier := range b.barriers(r.axe) {
				r.t.Errorf("%s (phone: %v, dark: %v): %s", name, phone, dark, barrier)
			}
			if r.out != "" {
				r.picture(b, name+map[bool]string{false: "-light", true: "-dark"}[dark], phone)
			}
		}
		if phone {
			b.must(chromedp.Do(b.ctx, window(phone)))
			b.fitsPhone()
		}
	}
	b.theme(false)
	b.must(chromedp.Do(b.ctx, window(false)))
}

func window(phone bool) chromedp.Action[chromedp.Void] {
	if phone {
		return chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	return chromedp.EmulateViewport(1280, 900)
}

// mostPicture bounds the bytes of one picture in the repository.
const mostPicture = 120 << 10

func (r *tour) picture(b *tab, name string, phone bool) {
	r.t.Helper()
	name += map[bool]string{false: "-1280", true: "-360"}[phone]
	if phone { // what stays at the lower edge of the screen is at that of the picture
		height, err := ask[int64](b, "document.documentElement.scrollHeight")
		b.must(err)
		b.must(chromedp.Do(b.ctx, chromedp.EmulateViewport(360, height, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)))
	}
	whole, quality := true, int64(60)
	shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: &quality, CaptureBeyondViewport: &whole})
	b.must(err)
	if len(shot.Data) > mostPicture {
		r.t.Errorf("the picture %s has %d bytes, more than %d", name, len(shot.Data), mostPicture)
	}
	if err := os.WriteFile(filepath.Join(r.out, name+".webp"), shot.Data, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func TestBrowserTour(t *testing.T) {
	r := &tour{t: t, site: startConsole(t, "--allow-private-addresses"), axe: readAxe(t), seen: map[string]bool{}}
	if out := os.Getenv("OUT"); out != "" {
		if r.out = out; !filepath.IsAbs(out) {
			r.out = filepath.Join(testutil.RepositoryRoot(t), out)
		}
		if err := os.MkdirAll(r.out, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := newTab(t, look{})
	r.comeIn(b)
	r.launch(b)
	r.event(b)
	r.help(b)
	r.house(b)
	r.propose(b)
	r.end(b)
	for _, name := range templates.ConsolePages() {
		if !r.seen[name] {
			t.Errorf("nobody looked at the page %s; take the tour past it", name)
		}
	}
}

func (r *tour) comeIn(b *tab) {
	b.excuse("status of 503") // nothing answers before it is claimed
	b.excuse("status of 422")
	b.excuse("status of 401")
	b.excuse("status of 404")
	b.come(r.site.url)
	b.reads("not claimed yet")
	b.come(r.site.claim)
	r.at(b, templates.ConsoleClaim, "")
	b.fill("Your name for signing in", "Ada!")
	b.fill("Password", "short")
	b.follow("button", "Take it over")
	b.find("heading", "Please look at this again")
	r.at(b, templates.ConsoleClaim, "wrong")
	b.claim(r.site)
	r.at(b, templates.ConsoleEvents, "empty")

	stranger := newTab(r.t, look{})
	stranger.excuse("status of 401")
	stranger.come(r.site.url)
	r.at(stranger, templates.ConsoleSignIn, "")
	stranger.fill("Name", ownerName)
	stranger.fill("Password", "not hers")
	stranger.follow("button", "Sign in")
	stranger.find("heading", "Please look at this again")
	r.at(stranger, templates.ConsoleSignIn, "wrong")
}

func (r *tour) launch(b *tab) {
	b.come(r.site.url + "/apps")
	r.at(b, templates.ConsoleApps, "")
	b.fill("Search apps", "bridge")
	b.follow("button", "Search")
	r.at(b, templates.ConsoleApps, "none")
	b.come(r.site.url + "/images")
	r.at(b, templates.ConsoleImages, "none")
	b.come(r.site.url + "/apps/guestbook")
	r.at(b, templates.ConsoleApp, "")
	b.come(r.site.url)
	b.choose()
	r.at(b, templates.ConsoleCheck, "")
	b.follow("button", "Change something")
	r.at(b, templates.ConsoleLaunch, "")
	b.fill("Day", "01012020")
	b.follow("button", "Check your answers")
	b.find("heading", "Please look at this again")
	r.at(b, templates.ConsoleLaunch, "wrong")
	b.press("button", "In a week")
	b.follow("button", "Check your answers")
	b.launch()
	r.at(b, templates.ConsoleProgress, "")
}

func (r *tour) event(b *tab) {
	visitor := newTab(r.t, look{})
	visitor.come(r.site.url + "/e/" + eventName)
	r.at(visitor, templates.ConsolePublic, "")

	b.come(r.site.url)
	r.at(b, templates.ConsoleEvents, "")
	b.follow("link", eventTitle)
	r.at(b, templates.ConsoleEvent, "")
	b.follow("button", "Freeze it")
	r.at(b, templates.ConsoleEvent, "frozen")
	b.follow("button", "Let it go on")
	b.follow("link", "Details of Guestbook")
	b.follow("button", "Send its log")
	r.at(b, templates.ConsoleInstance, "")
	b.follow("link", "Read it")
	r.at(b, templates.ConsoleLogs, "")
	b.come(r.site.url + "/instances")
	r.at(b, templates.ConsoleInstances, "")
}

func (r *tour) help(b *tab) {
	b.come(r.site.url + "/events/" + eventName)
	b.fill("Who is it for?", "The school office")
	b.follow("button", "Make a link")
	r.at(b, templates.ConsoleOnce, "")
	helper := newTab(r.t, look{})
	helper.come(b.find("StaticText", r.site.url+"/h/…").name)
	r.at(helper, templates.ConsoleHelp, "")
	helper.follow("button", "Show me the event")
	r.at(helper, templates.ConsoleEvent, "helper")
}

func (r *tour) house(b *tab) {
	b.come(r.site.url + "/people")
	b.fill("Name for signing in", "grace")
	b.follow("button", "Add")
	newcomer := newTab(r.t, look{})
	newcomer.come(b.find("StaticText", r.site.url+"/join/…").name)
	r.at(newcomer, templates.ConsoleJoin, "")
	b.come(r.site.url + "/people")
	r.at(b, templates.ConsolePeople, "")
	b.come(r.site.url + "/account")
	r.at(b, templates.ConsoleAccount, "")
	b.come(r.site.url + "/audit")
	r.at(b, templates.ConsoleAudit, "")
	b.come(r.site.url + "/settings")
	r.at(b, templates.ConsoleSettings, "")
	b.come(r.site.url + "/events/nothing-of-that-name")
	r.at(b, templates.ConsoleNotice, "")
}

// propose looks at a fork of the guestbook.
func (r *tour) propose(b *tab) {
	shipped := filepath.Join(testutil.RepositoryRoot(r.t), "apps/catalogue/guestbook")
	fork := testutil.NewRepo(r.t)
	if err := os.CopyFS(fork.Dir, os.DirFS(shipped)); err != nil {
		r.t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(shipped, "app.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	fork.Write("app.yaml", append(manifest, "\n# ours\n"...), 0o644)
	fork.CommitAll()
	address := testutil.NewGitServer(r.t, filepath.Dir(fork.Dir)).URL + "/" + filepath.Base(fork.Dir)
	b.come(r.site.url + "/apps")
	b.fill("Address of the repository", address)
	b.follow("button", "Look at it")
	b.find("heading", "This is what would run")
	r.at(b, templates.ConsoleProposal, "")
	b.fill("Address of the repository", address+"-not")
	b.follow("button", "Look again")
	r.at(b, templates.ConsoleProposal, "wrong")
}

func (r *tour) end(b *tab) {
	b.come(r.site.url + "/events/" + eventName)
	b.end()
	b.receipt()
	r.at(b, templates.ConsoleReceipt, "")
	b.follow("link", "Back to the event")
	r.at(b, templates.ConsoleEvent, "archived")
	b.come(r.site.url)
	r.at(b, templates.ConsoleEvents, "past")
	visitor := newTab(r.t, look{})
	visitor.come(r.site.url + "/e/" + eventName)
	r.at(visitor, templates.ConsolePublic, "over")
}
