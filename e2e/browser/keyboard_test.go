//go:build browser

package browser

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// mostTabs is more than any page has stops.
const mostTabs = 80

// seen says how what has the focus shows it: the outline of it, or of what covers it.
const seen = `(() => {
	const e = document.activeElement, has = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
	return has(getComputedStyle(e)) || has(getComputedStyle(e, "::after"));
})()`

// reach goes from stop to stop until it is at a thing, and fails where a stop is not seen.
func (b *tab) reach(role, name string) {
	b.t.Helper()
	b.find(role, name)
	for range mostTabs {
		b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Tab)))
		all, err := b.things()
		b.must(err)
		for _, t := range all {
			if !t.focused || t.role == "RootWebArea" {
				continue
			}
			part, err := call[bool](b, t, "function() { return this.getRootNode() !== document }")
			if err == nil && part {
				continue // of a field, which the browser draws
			}
			if visible, err := ask[bool](b, seen); err != nil || !visible {
				b.fail("the focus is at %s, and is not seen (%v)", t, err)
			}
			if t.role == role && t.named(name) {
				return
			}
		}
	}
	b.fail("%s %q is not reached with %d presses of Tab", role, name, mostTabs)
}

// enter reaches a thing and presses Enter, which leads to another page.
func (b *tab) enter(role, name string) {
	b.t.Helper()
	b.reach(role, name)
	b.move("Enter at "+name, func() { b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Enter))) })
}

func (b *tab) keys(text string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(text)))
}

// first types into the first field, once it has the focus: by itself, a moment after the page
// is there.
func (b *tab) first(text string) {
	b.t.Helper()
	b.until("have the focus in the first field", func() (bool, string) {
		all, err := b.things()
		if err != nil {
			return false, err.Error()
		}
		return slices.ContainsFunc(all, func(t thing) bool { return t.focused && t.role == "textbox" }), "it is nowhere"
	})
	b.keys(text)
}

// TestBrowserByKeyboard launches an event without a mouse.
func TestBrowserByKeyboard(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{})
	b.come(s.claim)
	b.first(ownerName)
	b.reach("textbox", "Password")
	b.keys(ownerPassword)
	b.enter("button", "Take it over")
	b.enter("link", "Pick an app")
	b.enter("link", "Guestbook")
	b.enter("link", "Launch Guestbook")
	b.first(eventTitle)
	b.reach("combobox", "Add another app")
	b.keys("Notice board")
	b.enter("button", "Add")
	b.find("heading", "Notice board")
	b.enter("button", "Check your answers")
	b.enter("button", "Launch until…")
	b.find("heading", eventTitle+" is live")
	b.enter("link", "Open Guestbook")
	b.find("heading", "Guestbook")
}
