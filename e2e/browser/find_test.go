//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A thing is what a page has for who does not see how it is made.
type thing struct {
	role, name, value string
	focused           bool
	id                cdp.BackendNodeID
}

func (t thing) String() string { return fmt.Sprintf("%s %q", t.role, t.name) }

// fieldRoles are what Chromium calls what can be filled in.
var fieldRoles = []string{"textbox", "searchbox", "combobox", "spinbutton", "checkbox", "Date", "InputTime", "date", "time"}

// things are all that the page has at the moment.
func (b *tab) things() ([]thing, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		return nil, err
	}
	var all []thing
	for _, n := range tree.Nodes {
		if !n.Ignored && n.BackendDOMNodeID != 0 {
			focused := slices.ContainsFunc(n.Properties, func(p *accessibility.Property) bool {
				return p.Name == accessibility.PropertyNameFocused && text(p.Value) == "true"
			})
			all = append(all, thing{text(n.Role), strings.Join(strings.Fields(text(n.Name)), " "), text(n.Value), focused, n.BackendDOMNodeID})
		}
	}
	return all, nil
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) != nil {
		return string(v.Value)
	}
	return s
}

// named says whether a thing is called so; a name that ends with … is its beginning.
func (t thing) named(name string) bool {
	if begin, ok := strings.CutSuffix(name, "…"); ok {
		return strings.HasPrefix(t.name, begin)
	}
	return t.name == name
}

// find waits for the one thing of that role and name. A role "field" is any that can be
// filled in.
func (b *tab) find(role, name string) (found thing) {
	b.t.Helper()
	b.until(fmt.Sprintf("find %s %q", role, name), func() (bool, string) {
		all, err := b.things()
		if err != nil {
			return false, err.Error()
		}
		var those []thing
		for _, t := range all {
			if (t.role == role || role == "field" && slices.Contains(fieldRoles, t.role)) && t.named(name) {
				those = append(those, t)
			}
		}
		if len(those) == 1 {
			found = those[0]
			return true, ""
		}
		return false, fmt.Sprintf("%d of them; the page has: %v", len(those), worth(all))
	})
	return found
}

// worth are the things that a person looks for.
func worth(all []thing) []thing {
	return slices.DeleteFunc(all, func(t thing) bool {
		return t.name == "" || !slices.Contains(fieldRoles, t.role) && !slices.Contains([]string{"button", "link", "heading", "status", "alert", "DisclosureTriangle"}, t.role)
	})
}

// has says whether the page has such a thing right now.
func (b *tab) has(role, name string) bool {
	b.t.Helper()
	all, err := b.things()
	b.must(err)
	return slices.ContainsFunc(all, func(t thing) bool { return t.role == role && t.named(name) })
}

// reads waits until the page shows all of the words.
func (b *tab) reads(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.until(fmt.Sprintf("read %q", w), func() (bool, string) {
			all, err := ask[string](b, `document.body ? document.body.innerText : ""`)
			all = strings.Join(strings.Fields(all), " ")
			return err == nil && strings.Contains(all, w), fmt.Sprintf("the page says: %.2000s (%v)", all, err)
		})
	}
}

// press clicks, or taps, where a person would: in the middle of what is seen of it. What
// is renewed just then, or lies under something, is looked for again.
func (b *tab) press(role, name string) {
	b.t.Helper()
	b.until(fmt.Sprintf("press %s %q", role, name), func() (bool, string) {
		x, y, err := b.middle(b.find(role, name))
		if err != nil {
			return false, err.Error()
		}
		if b.look.phone {
			b.must(chromedp.Do(b.ctx, chromedp.TapXY(x, y)))
		} else {
			b.must(chromedp.Do(b.ctx, chromedp.MouseClickXY(x, y)))
		}
		return true, ""
	})
}

// middle scrolls a thing into view and says where its middle is.
func (b *tab) middle(t thing) (x, y float64, err error) {
	if _, err := chromedp.Call(b.ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: t.id}); err != nil {
		return 0, 0, err
	}
	at, err := chromedp.Call(b.ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: t.id})
	if err != nil || len(at.Quads) == 0 || len(at.Quads[0]) != 8 {
		return 0, 0, fmt.Errorf("it is nowhere (%w)", err)
	}
	q := at.Quads[0]
	x, y = (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
	over, err := call[string](b, t, `function(x, y) {
		const e = document.elementFromPoint(x, y);
		if (this.disabled) return "it is disabled";
		return e && (this === e || this.contains(e) || e.contains(this)) ? "" : "it lies under " + (e ? e.outerHTML.slice(0, 200) : "nothing");
	}`, x, y)
	if err == nil && over != "" {
		err = errors.New(over)
	}
	return x, y, err
}

// call calls a function of JavaScript on a thing.
func call[T any](b *tab, t thing, function string, args ...any) (out T, err error) {
	node, err := chromedp.Call(b.ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: t.id})
	if err != nil {
		return out, err
	}
	return chromedp.Run(b.ctx, chromedp.CallFunctionOn[T](function, func(p *runtime.CallFunctionOnParams) { p.ObjectID = node.Object.ObjectID }, args...))
}

// follow presses what leads to another page.
func (b *tab) follow(role, name string) {
	b.t.Helper()
	b.move(fmt.Sprintf("%s %q", role, name), func() { b.press(role, name) })
}

// fill writes into a field instead of what is there.
func (b *tab) fill(label, what string) {
	b.t.Helper()
	t := b.focus(label)
	switch t.role {
	case "Date", "InputTime", "date", "time": // key by key, as its parts are filled in
		b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(what)))
		return
	case "combobox":
		if kind, err := call[string](b, t, "function() { return this.tagName }"); err != nil {
			b.must(err)
		} else if kind == "SELECT" { // by the beginning of what is chosen
			b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(what)))
			break
		}
		fallthrough
	default:
		b.must(chromedp.Do(b.ctx, chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl))))
		_, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: what})
		b.must(err)
	}
	if now := b.find("field", label); !strings.HasPrefix(now.value, what) && !strings.HasPrefix(now.value, "•") {
		b.fail("fill in %s: it reads %q, not %q", t, now.value, what)
	}
}

func (b *tab) focus(label string) thing {
	b.t.Helper()
	t := b.find("field", label)
	_, err := chromedp.Call(b.ctx, dom.Focus, dom.FocusParams{BackendNodeID: t.id})
	b.must(err)
	return t
}
