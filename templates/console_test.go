package templates

import (
	"bytes"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// Every file of the folder is used: by a page of the table, or in all of them.
func TestNoConsolePageIsForgotten(t *testing.T) {
	known := map[string]bool{"layout.html": true, "parts.html": true, "icons.html": true, "assets": true}
	for _, name := range ConsolePages() {
		known[name+".html"] = true
	}
	files, err := fs.ReadDir(consoleFiles, "console")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("console/%s is not in the table", f.Name())
		}
	}
	if len(files) != len(known) {
		t.Errorf("%d files, %d known", len(files), len(known))
	}
}

func TestUnknownConsolePage(t *testing.T) {
	defer func() {
		if p := recover(); p != `templates: no page "front" in the console's table` {
			t.Errorf("panic %v", p)
		}
	}()
	_ = RenderConsole(&bytes.Buffer{}, "front", "", ConsoleFrame{})
}

// A page is written whole, or not at all.
func TestConsolePageBreaksOff(t *testing.T) {
	var b bytes.Buffer
	if err := RenderConsole(&b, ConsoleEvents, "", ConsoleFrame{Data: struct{ Other int }{}}); err == nil || b.Len() > 0 {
		t.Errorf("wrote %d bytes, and answered %v", b.Len(), err)
	}
	if err := RenderConsole(&b, ConsoleEvents, "nothing", ConsoleFrame{}); !errors.Is(err, ErrNoFragment) || b.Len() > 0 {
		t.Errorf("a fragment that is not there: %v", err)
	}
}

// TestAssets: each is named by what it holds, and loads nothing from elsewhere.
func TestAssets(t *testing.T) {
	ReadConsole()
	named := regexp.MustCompile(`^/assets/[a-z]+-[0-9a-f]{16}\.(css|js|svg)$`)
	for path, asset := range Assets() {
		if !named.MatchString(path) || asset.Type == "" || len(asset.Body) == 0 {
			t.Errorf("%s is %q with %d bytes", path, asset.Type, len(asset.Body))
		}
		text := strings.ReplaceAll(string(asset.Body), "http://www.w3.org/2000/svg", "")
		for _, bad := range []string{"http:", "https:", "url(", "@import", "innerHTML = \"", "eval("} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
	for _, name := range []string{"console.css", "console.js", "mark.svg"} {
		path, err := AssetPath(name)
		if _, ok := Assets()[path]; err != nil || !ok {
			t.Errorf("%s is at %q, %v", name, path, err)
		}
	}
	if _, err := AssetPath("nothing.css"); err == nil {
		t.Error("an asset that is not there has a path")
	}
}
