package templates

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// The pages of the console. Each is console/<name>.html, which defines "content" and
// the fragments of it that are renewed on their own, inside console/layout.html and
// with the parts of console/parts.html and console/icons.html.
const (
	ConsoleClaim     = "claim"     // the first owner, once
	ConsoleSignIn    = "signin"    //
	ConsoleJoin      = "join"      // a password, by an invitation
	ConsoleHelp      = "help"      // somebody came by a helper's link
	ConsoleEvents    = "events"    // home
	ConsoleApps      = "apps"      // the catalogue
	ConsoleApp       = "app"       //
	ConsoleImages    = "images"    // what launches start from
	ConsoleProposal  = "proposal"  // what a repository would run, before it does
	ConsoleLaunch    = "launch"    // step 1
	ConsoleCheck     = "check"     // step 2
	ConsoleProgress  = "progress"  // step 3
	ConsoleEvent     = "event"     //
	ConsoleReceipt   = "receipt"   // what became of everything
	ConsolePublic    = "public"    // an event, for anybody
	ConsoleInstances = "instances" // the fleet
	ConsoleInstance  = "instance"  //
	ConsoleLogs      = "logs"      //
	ConsolePeople    = "people"    //
	ConsoleAccount   = "account"   // one's own
	ConsoleAudit     = "audit"     //
	ConsoleSettings  = "settings"  //
	ConsoleOnce      = "once"      // a secret, shown this once
	ConsoleNotice    = "notice"    // what went wrong, and what to try
)

var consoleNames = []string{
	ConsoleClaim, ConsoleSignIn, ConsoleJoin, ConsoleHelp, ConsoleEvents, ConsoleApps, ConsoleApp, ConsoleImages, ConsoleProposal,
	ConsoleLaunch, ConsoleCheck, ConsoleProgress, ConsoleEvent, ConsoleReceipt, ConsolePublic, ConsoleInstances,
	ConsoleInstance, ConsoleLogs, ConsolePeople, ConsoleAccount, ConsoleAudit, ConsoleSettings, ConsoleOnce, ConsoleNotice,
}

//go:embed console
var consoleFiles embed.FS

// ConsolePages lists the pages of the table, in its order.
func ConsolePages() []string { return slices.Clone(consoleNames) }

// A ConsoleFrame is what every page of the console is given.
type ConsoleFrame struct {
	Title   string
	Section string // of Menu, the one this page belongs to; empty: none
	Menu    []MenuItem
	Tabs    []MenuItem // of a section that has more than one page
	Tab     string     // of Tabs
	Person  string     // who is signed in, to be shown; empty: nobody
	Role    string
	CSRF    string // of the session's forms
	Said    string // a sentence on what was just done; empty: nothing was
	// Stream is where changes are told, and Newest the last that the page has seen.
	// Without a Stream nothing of the page is renewed by a change.
	Stream string
	Newest int64
	// Refresh are the seconds after which a browser without scripts asks again; 0: never.
	Refresh int
	Data    any // the page's own, a struct of package web
}

// A MenuItem leads to a section of the console, or to a page of one.
type MenuItem struct{ Name, Path, Icon, Text string }

// consoleTable parses every page of the table, so that one that cannot be read is known
// before somebody asks for it.
var consoleTable = sync.OnceValue(func() map[string]*template.Template {
	parts := template.Must(template.New("layout.html").Funcs(template.FuncMap{"asset": AssetPath}).
		ParseFS(consoleFiles, "console/layout.html", "console/parts.html", "console/icons.html"))
	table := make(map[string]*template.Template)
	for _, name := range consoleNames {
		page := template.Must(parts.Clone())
		table[name] = template.Must(page.ParseFS(consoleFiles, "console/"+name+".html"))
	}
	return table
})

// ReadConsole parses all pages and assets of the console. A mistake in one of them is a
// mistake in this program: it panics, when the console starts rather than at the first
// reader.
func ReadConsole() {
	consoleTable()
	assets()
}

// RenderConsole writes a page of the console; where fragment is not empty, only that
// part of it. It is safe for concurrent use. A name that is not in the table is a mistake
// in this program: it panics. The error of a fragment that the page does not have is
// ErrNoFragment.
func RenderConsole(w io.Writer, name, fragment string, frame ConsoleFrame) error {
	page, ok := consoleTable()[name]
	if !ok {
		panic(fmt.Sprintf("templates: no page %q in the console's table", name))
	}
	part := page
	if fragment != "" {
		if part = page.Lookup("live-" + fragment); part == nil {
			return fmt.Errorf("render %s of page %s: %w", fragment, name, ErrNoFragment)
		}
	}
	var b bytes.Buffer // a page that breaks off is no page
	if err := part.Execute(&b, frame); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// ErrNoFragment says that a page has no such part.
var ErrNoFragment = fmt.Errorf("the page has no such part: %w", fs.ErrNotExist)

// An Asset is a file that pages load. What is at its path never changes.
type Asset struct {
	Type string // its media type
	Body []byte
}

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

type assetTable struct {
	paths  map[string]string // by name
	assets map[string]Asset  // by path
}

var assets = sync.OnceValue(func() assetTable {
	table := assetTable{map[string]string{}, map[string]Asset{}}
	files, err := fs.ReadDir(consoleFiles, "console/assets")
	if err != nil {
		panic(fmt.Sprintf("templates: %v", err))
	}
	for _, file := range files {
		body, err := consoleFiles.ReadFile("console/assets/" + file.Name())
		kind := path.Ext(file.Name())
		if err != nil || assetTypes[kind] == "" {
			panic(fmt.Sprintf("templates: asset %s of no known type, or unreadable: %v", file.Name(), err))
		}
		sum := sha256.Sum256(body)
		at := "/assets/" + strings.TrimSuffix(file.Name(), kind) + "-" + hex.EncodeToString(sum[:8]) + kind
		table.paths[file.Name()] = at
		table.assets[at] = Asset{assetTypes[kind], body}
	}
	return table
})

// AssetPath is where a file of console/assets is served. A name that is not there is a
// mistake in this program, which is found when the page is rendered.
func AssetPath(name string) (string, error) {
	at, ok := assets().paths[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return at, nil
}

// Assets are the files that pages load, by path.
func Assets() map[string]Asset { return maps.Clone(assets().assets) }
