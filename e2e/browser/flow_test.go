//go:build browser

package browser

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"popup/internal/archive"
)

const (
	ownerName     = "ada"
	ownerPassword = "a fair of four words"
	eventTitle    = "Spring fair"
	eventName     = "spring-fair"
)

// claim makes the console this person's, and has her sign in once by herself.
func (b *tab) claim(s *site) {
	b.t.Helper()
	b.come(s.claim)
	b.fill("Your name for signing in", ownerName)
	b.fill("How others see you optional", "Ada")
	b.fill("Password", ownerPassword)
	b.follow("button", "Take it over")
	b.reads("Welcome. This console is yours.")
}

func (b *tab) signIn(s *site) {
	b.t.Helper()
	b.come(s.url + "/sign-in")
	b.fill("Name", ownerName)
	b.fill("Password", ownerPassword)
	b.follow("button", "Sign in")
	b.find("heading", "Events")
}

// choose goes from an empty console to the page on which answers are checked.
func (b *tab) choose() {
	b.t.Helper()
	b.follow("link", "Pick an app")
	b.follow("link", "Guestbook")
	b.follow("link", "Launch Guestbook")
	b.fill("What is it called?", eventTitle)
	b.fill("Add another app", "Notice board")
	b.follow("button", "Add")
	b.find("heading", "Notice board")
	b.follow("button", "Check your answers")
	b.find("heading", "Check your answers")
}

// launch presses the button, and waits until both apps are live.
func (b *tab) launch() {
	b.t.Helper()
	begun := time.Now()
	b.follow("button", "Launch until…")
	b.find("heading", eventTitle+" is live")
	load, _ := os.ReadFile("/proc/loadavg")
	b.t.Logf("from the button to two apps live: %.1f s, on a machine with a load of %s", time.Since(begun).Seconds(), strings.TrimSpace(string(load)))
}

func TestBrowserFromClaimToReceipt(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{})
	b.claim(s)
	b.follow("link", "You")
	b.follow("button", "Sign out")
	b.signIn(s)
	b.choose()
	b.launch()
	b.useAndEnd(s)
}

func TestBrowserWithoutScripts(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{noScripts: true})
	b.claim(s)
	b.choose()
	b.launch()
	b.useAndEnd(s)
}

func TestBrowserOnAPhone(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{phone: true})
	b.claim(s)
	b.choose()
	b.launch()
	b.useAndEnd(s)
}

// useAndEnd takes a live event to its receipt, as its organiser and as a visitor.
func (b *tab) useAndEnd(s *site) {
	b.t.Helper()
	event := s.url + "/events/" + eventName
	visitor := newTab(b.t, b.look)
	visitor.excuse("status of 503") // what is frozen, or gone, answers so
	visitor.come(s.url + "/e/" + eventName)
	visitor.find("heading", eventTitle)
	visitor.follow("link", "Notice board…")
	visitor.notices()
	visitor.come(s.url + "/e/" + eventName)
	visitor.follow("link", "Guestbook…")
	visitor.write("Grace", "What a fine fair")
	visitor.reads("Thank you, it is in the book.", "What a fine fair")

	b.come(event)
	b.follow("button", "Freeze it")
	b.reads("It is frozen: everything can be seen, and nothing changed.")
	visitor.until("a frozen guestbook takes nothing", func() (bool, string) {
		visitor.write("Mallory", "too late")
		return visitor.has("heading", "Guestbook is read-only now"), "it was taken"
	})
	b.follow("button", "Let it go on")
	b.reads("It goes on.")
	visitor.until("a guestbook that goes on takes entries", func() (bool, string) {
		visitor.come(s.url + "/e/" + eventName)
		visitor.follow("link", "Guestbook…")
		visitor.write("Edsger", "Good to be back")
		return visitor.has("heading", "Edsger"), "it was not taken"
	})
	b.extend()
	b.end()
	today := time.Now().UTC().Format("2 January")
	b.receipt()
	b.archived(event, "What a fine fair", "Good to be back")
	visitor.come(s.url + "/e/" + eventName)
	visitor.reads("It is over: ended " + today)
}

// notices reads what the notice board shows: out of a frame, where no script puts it
// into the page.
func (b *tab) notices() {
	b.t.Helper()
	if b.look.noScripts {
		b.find("Iframe", "Notices")
		return
	}

	b.find("heading", "Millbrook notice board")
}

// write leaves an entry in the guestbook.
func (b *tab) write(name, message string) {
	b.t.Helper()
	if !b.has("button", "Write it into the book") { // what was refused stands in the way
		b.move("going back", func() { b.must(chromedp.Do(b.ctx, chromedp.NavigateBack())) })
	}
	b.fill("Your name", name)
	b.fill("Your message", message)
	b.follow("button", "Write it into the book")
}

// extend puts the end two weeks off, and sees it said.
func (b *tab) extend() {
	b.t.Helper()
	day := time.Now().UTC().AddDate(0, 0, 14)
	b.fill("Ends on", day.Format("01022006"))
	b.follow("button", "Save")
	b.reads("That is saved.", day.Format("2 January"))
}

// end types the event's name; another name ends nothing.
func (b *tab) end() {
	b.t.Helper()
	b.press("DisclosureTriangle", "End it now")
	b.fill("Type "+eventName+" to go on", eventName)
	b.follow("button", "End it now")
}

// receipt waits until all is gone, and reads what became of it, where ending leads.
func (b *tab) receipt() {
	b.t.Helper()
	b.reads("It is over: everything that ran is gone, and what was worth keeping is archived.", "2 of 2 proven gone", "read back and verified", "This app keeps nothing that visitors write.")
}

// archived downloads all that is kept of the event, and finds the entries in it.
func (b *tab) archived(event string, entries ...string) {
	b.t.Helper()
	dir := b.downloads()
	b.come(event)
	b.press("link", "Download all as one file")
	file := filepath.Join(dir, eventName+".zip")
	b.until("download "+file, func() (bool, string) {
		_, err := os.Stat(file)
		return err == nil, "it is not there"
	})
	all, err := zip.OpenReader(file)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = all.Close() }() // it was only read
	var kept bytes.Buffer
	for _, f := range all.File {
		r, err := f.Open()
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = archive.Read(b.t.Context(), r, archive.Limits{}, func(_ archive.Entry, contents io.Reader) error {
			_, err := kept.ReadFrom(contents)
			return err
		})
		if err != nil {
			b.t.Errorf("read %s: %v", f.Name, err)
		}
	}
	for _, e := range entries {
		if !bytes.Contains(kept.Bytes(), []byte(e)) {
			b.t.Errorf("%q is in none of the %d archives of %s", e, len(all.File), file)
		}
	}
}
