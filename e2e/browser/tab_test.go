//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A look is what somebody looks with. The zero one is a window of 1280 by 900.
type look struct {
	phone     bool // 360 by 740, and a finger
	noScripts bool
}

// A tab is a browser of its own to who uses it: none of its cookies is another's. What
// its pages complain about, a violated policy or an exception, fails the test.
type tab struct {
	t    *testing.T
	ctx  context.Context
	look look
	// arrive are asked of every page that is come to.
	arrive []func(*tab)

	mu      sync.Mutex
	faults  []string
	excused []string
	streams int // that its pages have asked for
}

func newTab(t *testing.T, l look) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	b := &tab{t: t, ctx: ctx, look: l}
	if l.phone {
		b.arrive = append(b.arrive, (*tab).fitsPhone)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.must(chromedp.Do(ctx, window(l.phone)))
	b.theme(false)
	_, err := chromedp.Call(ctx, log.Enable, struct{}{})
	b.must(err)
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	_, err = chromedp.Call(ctx, runtime.Enable, struct{}{})
	b.must(err)
	_, err = chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.must(err)
	if l.noScripts {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		b.must(err)
	}
	t.Cleanup(b.complain)
	return b
}

// theme is light, or dark.
func (b *tab) theme(dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	b.must(err)
}

// hear collects what pages complain about.
func (b *tab) hear(event any) {
	var fault string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			fault += " " + o.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			fault = fmt.Sprintf("console.%s", e.Type)
			for _, arg := range e.Args {
				fault += " " + string(arg.Value) + arg.Description
			}
		}
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeEventSource {
			b.mu.Lock()
			b.streams++
			b.mu.Unlock()
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			fault = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if fault == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fault)
}

// excuse lets pages complain about what a test does on purpose.
func (b *tab) excuse(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.excused = append(b.excused, words)
}

// complain fails the test for what the pages complained about.
func (b *tab) complain() {
	b.mu.Lock()
	defer b.mu.Unlock()
faults:
	for _, f := range b.faults {
		for _, words := range b.excused {
			if strings.Contains(f, words) {
				continue faults
			}
		}
		b.t.Errorf("the browser complains: %s", f)
	}
	b.faults = nil
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.fail("drive the browser: %v", err)
	}
}

// fail ends the test, and keeps what the page looks like.
func (b *tab) fail(format string, args ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location()) // as far as it can be said
	if keeps() {
		if shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100)); err == nil {
			keep(b.t, "page.png", shot)
		}
		if html, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.documentElement.outerHTML")); err == nil {
			keep(b.t, "page.html", []byte(html))
		}
	}
	b.t.Fatalf("at %s: %s", at, fmt.Sprintf(format, args...))
}

// until asks again until ok says so; what names it where it never does, with the last
// thing that ok said.
func (b *tab) until(what string, ok func() (bool, string)) {
	b.t.Helper()
	tick, late := time.NewTicker(100*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		is, instead := ok()
		if is {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			b.fail("%s: not within %s; %s", what, patience, instead)
		}
	}
}

// ask evaluates an expression in the page, which must not change it.
func ask[T any](b *tab, expression string) (out T, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(raw, &out)
}

// come goes to an address, as somebody does who writes it.
func (b *tab) come(address string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		b.fail("go to %s: %v", address, err)
	}
	b.arrived()
}

// move does what leads to another page, and waits for it.
func (b *tab) move(what string, do func()) {
	b.t.Helper()
	const page = `document.readyState === "complete" ? String(performance.timeOrigin) : ""`
	before, err := ask[string](b, page)
	b.must(err)
	do()
	b.until(what+" leads to another page", func() (bool, string) {
		now, err := ask[string](b, page)
		return err == nil && now != "" && now != before, fmt.Sprintf("the page is the same (%v)", err)
	})
	b.arrived()
}

func (b *tab) arrived() {
	b.t.Helper()
	for _, look := range b.arrive {
		look(b)
	}
}

// downloads has files that are downloaded land in a folder of the test's.
func (b *tab) downloads() string {
	b.t.Helper()
	dir := b.t.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: dir,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID})
	b.must(err)
	return dir
}
