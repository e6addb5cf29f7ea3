//go:build browser

package browser

// What does not fit is named with where it is.
const misfits = `(() => {
	const out = [];
	if (document.documentElement.scrollWidth > innerWidth)
		out.push("it scrolls sideways: " + document.documentElement.scrollWidth + " px in " + innerWidth);
	for (const e of document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")) {
		let whole = /^(checkbox|radio)$/.test(e.type) && e.closest("label") || e;
		// The link of a card covers all of it.
		if (getComputedStyle(e, "::after").position === "absolute") whole = e.offsetParent;
		const r = whole.getBoundingClientRect(), style = getComputedStyle(whole);
		if (!e.checkVisibility({ visibilityProperty: true }) || style.clipPath !== "none" || r.bottom < 0) continue;
		// A link in the midst of a sentence is as high as its line.
		let around = e.parentElement;
		while (getComputedStyle(around).display === "inline") around = around.parentElement;
		if (style.display === "inline" && around.innerText.trim() !== e.innerText.trim()) continue;
		const least = e.classList.contains("primary") ? 44 : 24;
		if (r.width < least || r.height < least)
			out.push(e.outerHTML.slice(0, 120) + " is " + r.width.toFixed(1) + " by " + r.height.toFixed(1) + " px, less than " + least);
	}
	return out;
})()`

// fitsPhone says what of a page is too wide for a phone, or too small for a finger.
func (b *tab) fitsPhone() {
	b.t.Helper()
	wrong, err := ask[[]string](b, misfits)
	b.must(err)
	for _, w := range wrong {
		at, _ := ask[string](b, "location.pathname")
		b.t.Errorf("on a phone, %s: %s", at, w)
	}
}
