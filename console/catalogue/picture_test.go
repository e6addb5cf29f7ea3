package catalogue

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestPictures(t *testing.T) {
	svg := func(inside string) string { return `<svg xmlns="http://www.w3.org/2000/svg">` + inside + `</svg>` }
	for name, c := range map[string]struct{ file, content, want string }{
		"png":             {"a.png", "\x89PNG\x0D\x0A\x1A\x0A....", "image/png"},
		"webp":            {"a.webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		"jpeg":            {"a.jpg", "\xff\xd8\xff\xe0", "image/jpeg"},
		"svg":             {"a.svg", drawn, "image/svg+xml"},
		"svg, gradient":   {"a.svg", svg(`<defs><linearGradient id="g"/></defs><path fill="url(#g)" d="M0 0"/><style>.a{fill:url('#g')}</style><use href="#g"/>`), "image/svg+xml"},
		"page":            {"a.svg", "<html><body>x</body></html>", `it has the element "html"`},
		"page as png":     {"a.png", "<html>", "is neither a PNG"},
		"svg as png":      {"a.png", drawn, "is neither a PNG"},
		"gif":             {"a.gif", "GIF89a", "is neither a PNG"},
		"script":          {"a.svg", svg(`<script>alert(1)</script>`), `it has the element "script"`},
		"script, inner":   {"a.svg", svg(`<g><x:script xmlns:x="http://www.w3.org/2000/svg">alert(1)</x:script></g>`), `it has the element "script"`},
		"handler":         {"a.svg", svg(`<rect onload="alert(1)"/>`), `it has the attribute "onload"`},
		"handler, caps":   {"a.svg", svg(`<rect OnLoad="alert(1)"/>`), `it has the attribute "OnLoad"`},
		"foreign":         {"a.svg", svg(`<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>`), `it has the element "foreignObject"`},
		"image":           {"a.svg", svg(`<image href="http://169.254.169.254/"/>`), `it has the element "image"`},
		"link":            {"a.svg", svg(`<use xlink:href="https://example.org/#x"/>`), "it links to something else"},
		"script link":     {"a.svg", svg(`<use href=" javascript:alert(1)"/>`), "it links to something else"},
		"animated link":   {"a.svg", svg(`<set attributeName="href" to="javascript:alert(1)"/>`), `it has the element "set"`},
		"style loads":     {"a.svg", svg(`<style>@import "https://example.org"</style>`), "its style loads something"},
		"style, url":      {"a.svg", svg(`<style>.a{fill:url(#g)} .b{fill:URL( "//example.org")}</style>`), "its style loads something"},
		"attribute loads": {"a.svg", svg(`<rect style="fill:url(https://example.org)"/>`), "it loads something"},
		"entities":        {"a.svg", `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + svg("&x;"), "it has a DOCTYPE"},
		"stylesheet":      {"a.svg", `<?xml-stylesheet href="https://example.org"?>` + drawn, "it has a processing instruction"},
		"broken":          {"a.svg", "<svg", "it is not well-formed XML"},
		"two":             {"a.svg", drawn + "<script/>", `it has the element "script"`},
		"empty":           {"a.svg", "", "it is no SVG"},
		"large":           {"a.png", "\x89PNG\x0D\x0A\x1A\x0A" + strings.Repeat(".", maxIcon), "has more than 64 KiB"},
		"missing":         {"b.png", "", "file does not exist"},
	} {
		folder := fstest.MapFS{"x/" + strings.Replace(c.file, "b.", "a.", 1): {Data: []byte(c.content)}}
		got, err := readPicture(folder, "x/"+c.file, maxIcon)
		if err == nil && got.Type != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got.Type, err, c.want)
		}
	}
}

func FuzzSVG(f *testing.F) {
	f.Add([]byte(drawn))
	f.Add([]byte(`<svg><style>@import</style><a onload="x"/></svg>`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if checkSVG(content) == nil && strings.Contains(strings.ToLower(string(content)), "<script") &&
			!strings.Contains(string(content), "<!--") && !strings.Contains(string(content), "<![CDATA[") && !strings.Contains(string(content), "<?") {
			t.Errorf("taken: %q", content)
		}
	})
}
