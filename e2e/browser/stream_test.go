//go:build browser

package browser

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestBrowserIsToldOfChanges: a page shows what somebody else did, without being loaded
// again; also after the console was killed while it was open. What it shows is part of
// the page that nothing but the stream renews.
func TestBrowserIsToldOfChanges(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{})
	b.claim(s)
	b.choose()
	b.follow("button", "Launch until…")
	b.stays(func() { b.find("heading", eventTitle+" is live") })

	b.come(s.url + "/events/" + eventName)
	organiser := newTab(t, look{})
	organiser.signIn(s)
	organiser.come(s.url + "/events/" + eventName)
	b.stays(func() {
		organiser.follow("button", "Freeze it")
		b.reads("frozen")
	})

	b.excuse("ERR_") // a console that is not there
	organiser.excuse("ERR_")
	s.kill()
	s.again()
	b.stays(func() {
		organiser.come(s.url + "/events/" + eventName)
		organiser.follow("button", "Let it go on")
		b.reads("open Ends")
	})
}

// stays does something during which the page is not loaded again.
func (b *tab) stays(do func()) {
	b.t.Helper()
	const loaded = "performance.timeOrigin"
	before, err := ask[float64](b, loaded)
	b.must(err)
	do()
	if now, err := ask[float64](b, loaded); err != nil || now != before {
		b.fail("the page was loaded again (%v)", err)
	}
}

// streamsLeft waits until so many of the streams that the tab asked for are open at the
// console, which logs each when it has ended. No other tab may have had one.
func (b *tab) streamsLeft(s *site, n int) {
	b.t.Helper()
	b.until(fmt.Sprintf("have %d streams", n), func() (bool, string) {
		body, err := os.ReadFile(s.log())
		b.must(err)
		ended := strings.Count(string(body), "path=/api/v1/stream")
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.streams > 0 && b.streams-ended == n, fmt.Sprintf("%d were asked for, and %d have ended", b.streams, ended)
	})
}

// TestBrowserLeavesStreamsOfHiddenTabs: a tab that nobody looks at keeps no stream, and
// one that is looked at again shows what it missed.
func TestBrowserLeavesStreamsOfHiddenTabs(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{})
	b.claim(s)
	b.choose()
	b.launch()
	b.come(s.url + "/events/" + eventName)
	_, err := chromedp.Call(b.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{})
	b.must(err)
	b.streamsLeft(s, 1) // this page's; those of the pages before it have ended
	b.hide(browser.WindowStateMinimized)
	b.until("a tab in a window that is put away is hidden", func() (bool, string) {
		hidden, err := ask[bool](b, "document.hidden")
		return err == nil && hidden, "it is not"
	})
	b.streamsLeft(s, 0)
	organiser := newTab(t, look{})
	organiser.signIn(s)
	organiser.come(s.url + "/events/" + eventName)
	organiser.follow("button", "Freeze it")
	b.stays(func() {
		b.hide(browser.WindowStateNormal)
		b.reads("frozen")
	})
}

// hide puts the window away, or takes it out again.
func (b *tab) hide(state browser.WindowState) {
	b.t.Helper()
	window, err := chromedp.CallBrowser(b.ctx, browser.GetWindowForTarget, browser.GetWindowForTargetParams{TargetID: chromedp.FromContext(b.ctx).Target.TargetID})
	b.must(err)
	_, err = chromedp.CallBrowser(b.ctx, browser.SetWindowBounds, browser.SetWindowBoundsParams{WindowID: window.WindowID, Bounds: &browser.Bounds{WindowState: state}})
	b.must(err)
}

// TestBrowserAsksAgainOnce: a part that cannot be had is asked for by one timer, however
// often something changes meanwhile, and not at all where asking again does not help.
func TestBrowserAsksAgainOnce(t *testing.T) {
	s := startConsole(t)
	b := newTab(t, look{})
	b.claim(s)
	b.choose()
	b.launch()
	b.come(s.url + "/events/" + eventName)
	for status, want := range map[int]int{503: 3, 500: 0} { // each 3 s, in 8 s
		asks, err := ask[int](b, fmt.Sprintf(`(async () => {
			const wait = (s) => new Promise((done) => setTimeout(done, s * 1000));
			const part = document.querySelector("[data-live]").dataset.live, real = window.fetch;
			let asks = 0;
			window.fetch = (at) => {
				if (new URL(at).searchParams.get("fragment") === part) asks++;
				return Promise.resolve(new Response("", {status: %d}));
			};
			for (let n = 0; n < 4; n++) { document.dispatchEvent(new Event("visibilitychange")); await wait(1.2); }
			const before = asks;
			await wait(8);
			window.fetch = real;
			return before === 0 ? -1 : asks - before;
		})()`, status))
		b.must(err)
		if asks < 0 || asks > want || want > 0 && asks == 0 {
			t.Errorf("a part that is answered by %d is asked for %d times more, want at most %d", status, asks, want)
		}
	}
}
