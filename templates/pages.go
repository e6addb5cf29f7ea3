package templates

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"sync"
)

// The pages an instance shows by itself. Each is pages/<name>.html inside
// pages/layout.html, with pages/style.css and pages/boot.js in the page: an
// instance that is starting answers one request, not four.
const (
	PageBoot   = "boot"   // the phases of a start, live
	PageOver   = "over"   // the event is over
	PageSource = "source" // view source for a service
	PageNotice = "notice" // one sentence: read-only, not found, not answering
)

//go:embed pages
var pageFiles embed.FS

var pages = sync.OnceValue(func() map[string]*template.Template {
	funcs := template.FuncMap{
		"style":  func() template.CSS { return template.CSS(mustReadPage("style.css")) },
		"script": func() template.JS { return template.JS(mustReadPage("boot.js")) },
	}
	table := make(map[string]*template.Template)
	for _, name := range []string{PageBoot, PageOver, PageSource, PageNotice} {
		table[name] = template.Must(template.New("layout.html").Funcs(funcs).
			ParseFS(pageFiles, "pages/layout.html", "pages/"+name+".html"))
	}
	return table
})

func mustReadPage(name string) string {
	b, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		panic(fmt.Sprintf("templates: %v", err))
	}
	return string(b)
}

// A Frame is what every page is given: what the layout needs, and the page's
// own Data.
type Frame struct {
	Title   string
	Nonce   string // of the Content-Security-Policy the page is sent with
	Refresh int    // seconds after which a browser without scripts asks again; 0: never
	Data    any
}

// Page returns one of the pages of the table above; executing it with a Frame
// writes the page. It is safe for concurrent use. A name that is not in the
// table, or a page that does not parse, is a mistake in this program: Page
// panics, at the first page anybody asks for.
func Page(name string) *template.Template {
	page, ok := pages()[name]
	if !ok {
		panic(fmt.Sprintf("templates: no page %q in the table", name))
	}
	return page
}

// RenderFragment writes the named part of a page, for a live update of it.
func RenderFragment(w io.Writer, page, part string, data any) error {
	if err := Page(page).ExecuteTemplate(w, part, data); err != nil {
		return fmt.Errorf("render %s of page %s: %w", part, page, err)
	}
	return nil
}
