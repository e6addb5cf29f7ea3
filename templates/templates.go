// Package templates holds what user-data and pages are made of, embedded and
// declared in tables: text for user-data here, HTML for pages in pages.go.
package templates

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"text/template"
)

// The files user-data is made of. Each is userdata/<name>.tmpl.
const (
	UserdataScript      = "install.sh"       // what a machine runs, whichever way it arrives
	UserdataCloudConfig = "cloud-config.yml" // carries the plan, and the script where it is given one
	UserdataMIME        = "multipart.eml"    // carries both as parts
)

//go:embed userdata
var userdataFiles embed.FS

var texts = sync.OnceValue(func() map[string]*template.Template {
	table := make(map[string]*template.Template)
	for _, name := range []string{UserdataScript, UserdataCloudConfig, UserdataMIME} {
		table[name] = template.Must(template.New(name+".tmpl").Option("missingkey=error").
			Funcs(template.FuncMap{"indent": indent}).
			ParseFS(userdataFiles, "userdata/"+name+".tmpl"))
	}
	return table
})

// Text returns one of the templates of the table above. It is safe for
// concurrent use. A name that is not in the table, or a file that does not
// parse, is a mistake in this program: Text panics.
func Text(name string) *template.Template {
	text, ok := texts()[name]
	if !ok {
		panic(fmt.Sprintf("templates: no text %q in the table", name))
	}
	return text
}

// indent puts spaces before every line of text that is not empty, as a block
// of YAML wants it.
func indent(spaces int, text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.Trim(line, "\n") != "" {
			lines[i] = strings.Repeat(" ", spaces) + line
		}
	}
	return strings.Join(lines, "")
}
