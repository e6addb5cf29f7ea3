package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the top of the module, seen from this package.
const root = "../.."

// A source is a Go file, whatever its build tags.
type source struct {
	path    string // from the top
	dir     string
	test    bool
	imports []string
	lines   int
	why     bool // it says why it is long
	tree    *ast.File
}

// sources are the Go files of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parse(path)
		found = append(found, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 50 {
		t.Fatalf("found only %d Go files under %s", len(found), root)
	}
	return found
}

func parse(path string) (source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return source{}, err
	}
	file := source{
		path:  filepath.ToSlash(rel),
		dir:   filepath.ToSlash(filepath.Dir(rel)),
		test:  strings.HasSuffix(rel, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		why:   bytes.Contains(text, []byte("\n// Long because ")),
		tree:  tree,
	}
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		file.imports = append(file.imports, imported)
	}
	return file, nil
}

const mostLines = 400

func TestFilesAreShort(t *testing.T) {
	for _, file := range sources(t) {
		if file.lines > mostLines && !file.why && !file.test {
			t.Errorf("%s has %d lines; split it, or say in a comment why not: // Long because ...", file.path, file.lines)
		}
	}
}

// vague are names that say nothing about what is in a package.
var vague = []string{"util", "utils", "common", "type", "types", "helper", "helpers", "manager", "misc", "base", "shared", "lib"}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, file := range sources(t) {
		for _, name := range []string{filepath.Base(file.dir), strings.TrimSuffix(file.tree.Name.Name, "_test")} {
			if slices.Contains(vague, name) {
				t.Errorf("%s: %q says nothing; name the package after what it holds", file.path, name)
			}
		}
	}
}

// impure is what a room without I/O and clock does not import; and of package
// time, what it does not use.
var (
	impure = []string{"os", "net", "syscall", "io/ioutil", "log", "crypto/rand", "math/rand", "golang.org/x/sys"}
	pure   = []string{"net/url", "net/netip", "net/mail", "net/textproto"}
	clock  = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
)

func isImpure(imported string) bool {
	return !slices.Contains(pure, imported) && slices.ContainsFunc(impure, func(p string) bool { return within(imported, p) })
}

// TestUserdataIsPure: the same plan renders to the same bytes, anywhere and any time.
func TestUserdataIsPure(t *testing.T) {
	for _, file := range sources(t) {
		if roomOf(file.dir) != "userdata" || file.test {
			continue
		}
		for _, imported := range file.imports {
			if isImpure(imported) {
				t.Errorf("%s imports %s; userdata does no I/O", file.path, imported)
			}
		}
		for _, used := range usesOf(file.tree, "time", clock) {
			t.Errorf("%s uses time.%s; userdata has no clock", file.path, used)
		}
	}
	for imported, want := range map[string]bool{"os": true, "os/exec": true, "net/http": true, "net/url": false, "strings": false, "osmosis": false} {
		if isImpure(imported) != want {
			t.Errorf("isImpure(%q) is %v", imported, !want)
		}
	}
	tree, err := parser.ParseFile(token.NewFileSet(), "", "package p; var a, b = time.Now(), time.UTC", 0)
	if got := usesOf(tree, "time", clock); err != nil || !slices.Equal(got, []string{"Now"}) {
		t.Errorf("usesOf finds %v, %v", got, err)
	}
}

// usesOf finds names of a package that a file uses.
func usesOf(tree *ast.File, pkg string, names []string) (used []string) {
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, s.Sel.Name) {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				used = append(used, s.Sel.Name)
			}
		}
		return true
	})
	return used
}

// TestProductionDoesNotSleep: a wait ends with its context.
func TestProductionDoesNotSleep(t *testing.T) {
	for _, file := range sources(t) {
		if file.test || within(file.dir, testutil) {
			continue
		}
		if len(usesOf(file.tree, "time", []string{"Sleep"})) > 0 {
			t.Errorf("%s calls time.Sleep; wait for a timer or the context", file.path)
		}
	}
}
