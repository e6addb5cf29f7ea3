// Package archtest holds the layout of the code against its own rules: which room
// may import which, and how things are named. There is nothing in it but tests.
package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const module = "popup"

// A room is a folder at the top, with what is below it.
type room struct {
	imports  []string // other rooms; "internal/wire" names one package
	internal bool     // any package of internal
	anything bool     // any room
	stdOnly  bool     // beside rooms, only the standard library
	never    []string // what it must not depend on, however indirectly
}

// What is far too big, or belongs elsewhere, by the beginnings of import paths.
var (
	gin = []string{"github.com/gin-gonic/gin"}
	sql = []string{"database/sql", "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/canonical/go-dqlite"}
	ec2 = []string{"github.com/aws/aws-sdk-go-v2/service/ec2", "github.com/aws/aws-sdk-go-v2/service/ssm"}
	sdk = []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "github.com/minio"}
)

// rooms is the table. A folder at the top that is not in it fails.
var rooms = map[string]room{
	"cmd/popup": {anything: true},
	"apps":      {internal: true},
	"datasync":  {internal: true},
	"userdata":  {imports: []string{"apps", "templates", "internal/wire"}, never: sdk},
	"launcher": {imports: []string{"apps", "datasync", "userdata", "templates"}, internal: true,
		never: slices.Concat(gin, sql, ec2)},
	"console":   {imports: []string{"apps", "userdata", "datasync"}, internal: true, never: slices.Concat(gin, sql, ec2)}, // datasync reads buckets
	"store":     {imports: []string{"console"}, internal: true},
	"cloud":     {imports: []string{"console", "userdata"}, internal: true},
	"web":       {imports: []string{"console", "templates", "apps"}, internal: true, never: slices.Concat(sql, ec2)},
	"templates": {stdOnly: true},
	"internal":  {internal: true},
	"e2e":       {anything: true},
}

// exceptions are packages that may import one room more.
var exceptions = map[string]string{"internal/wire": "apps"}

// These are for tests alone.
const testutil = "internal/testutil"

var testOnly = []string{testutil, "store/storetest", "cloud/cloudtest", "cloud/kepttest"}

func forTests(dir string) bool {
	return slices.ContainsFunc(testOnly, func(folder string) bool { return within(dir, folder) })
}

// roomOf is the room that a package's folder belongs to; empty for none.
func roomOf(dir string) string {
	for name := range rooms {
		if within(dir, name) {
			return name
		}
	}
	return ""
}

// within says whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// judge says what is wrong with an import in a folder's file; empty: nothing.
func judge(dir, imported string, test bool) string {
	here, known := rooms[roomOf(dir)]
	if !known {
		return fmt.Sprintf("%s is in no room; enter it in the table of rooms, and in the design", dir)
	}
	target, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		if here.stdOnly && !test && isModule(imported) {
			return fmt.Sprintf("%s may import only the standard library, and imports %s", dir, imported)
		}
		return ""
	}
	switch {
	case within(target, "e2e") && !within(dir, "e2e"):
		return fmt.Sprintf("%s imports %s, and nothing may import e2e", dir, target)
	case forTests(target):
		if !test && !forTests(dir) && !within(dir, "e2e") {
			return fmt.Sprintf("%s imports %s outside its tests", dir, target)
		}
		return ""
	case here.anything, roomOf(target) == roomOf(dir), exceptions[dir] == target:
		return ""
	case here.internal && within(target, "internal"):
		return ""
	case slices.Contains(here.imports, roomOf(target)), slices.Contains(here.imports, target):
		return ""
	}
	return fmt.Sprintf("%s may not import %s", dir, target)
}

// isModule says whether an import path is outside the standard library.
func isModule(path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".")
}

func TestRoomsImportWhatTheyMay(t *testing.T) {
	for _, file := range sources(t) {
		wrong := map[string]bool{judge(file.dir, "fmt", file.test): true} // a file may import nothing
		for _, imported := range file.imports {
			wrong[judge(file.dir, imported, file.test)] = true
		}
		for _, what := range slices.Sorted(maps.Keys(wrong)) {
			if what != "" {
				t.Errorf("%s: %s", file.path, what)
			}
		}
	}
}

// TestTheTableRefuses shows that the table catches what it is for.
func TestTheTableRefuses(t *testing.T) {
	for _, bad := range []struct{ dir, imported, want string }{
		{"apps", "popup/datasync", "apps may not import datasync"},
		{"datasync", "popup/apps", "datasync may not import apps"},
		{"userdata", "popup/launcher", "userdata may not import launcher"},
		{"userdata", "popup/internal/process", "userdata may not import internal/process"},
		{"launcher", "popup/web", "launcher may not import web"},
		{"launcher/front", "popup/console", "launcher/front may not import console"},
		{"launcher/front", "popup/cloud/ec2", "launcher/front may not import cloud/ec2"},
		{"console", "popup/store", "console may not import store"},
		{"store", "popup/cloud/vm", "store may not import cloud/vm"},
		{"cloud/ec2", "popup/store", "cloud/ec2 may not import store"},
		{"web", "popup/store", "web may not import store"},
		{"internal/git", "popup/apps", "internal/git may not import apps"},
		{"internal/wire", "popup/userdata", "internal/wire may not import userdata"},
		{"templates", "popup/internal/wire", "templates may not import internal/wire"},
		{"templates", "github.com/google/go-cmp/cmp", "templates may import only the standard library, and imports github.com/google/go-cmp/cmp"},
		{"cmd/popup", "popup/e2e/appliance", "cmd/popup imports e2e/appliance, and nothing may import e2e"},
		{"cmd/popup", "popup/internal/testutil", "cmd/popup imports internal/testutil outside its tests"},
		{"store/sqlite", "popup/store/storetest", "store/sqlite imports store/storetest outside its tests"},
		{"cloud/local", "popup/cloud/cloudtest", "cloud/local imports cloud/cloudtest outside its tests"},
		{"newroom", "fmt", "newroom is in no room; enter it in the table of rooms, and in the design"},
		{"appsandmore", "fmt", "appsandmore is in no room; enter it in the table of rooms, and in the design"},
	} {
		if got := judge(bad.dir, bad.imported, false); got != bad.want {
			t.Errorf("%s imports %s: %q, want %q", bad.dir, bad.imported, got, bad.want)
		}
	}
	for _, good := range []struct {
		dir, imported string
		test          bool
	}{
		{"internal/wire", "popup/apps", false},
		{"launcher", "popup/launcher/front", false},
		{"launcher/front", "popup/templates", false},
		{"userdata", "popup/internal/wire", false},
		{"web", "popup/internal/atomicfile", false},
		{"apps", "popup/internal/testutil", true},
		{"apps", "popup/internal/testutil/misbehave", true},
		{"console", "popup/store/storetest", true},
		{"store/storetest", "popup/store", false},
		{"e2e/appliance", "popup/launcher", true},
		{"templates", "github.com/google/go-cmp/cmp", true},
		{"templates", "html/template", false},
	} {
		if got := judge(good.dir, good.imported, good.test); got != "" {
			t.Errorf("%s imports %s: %q, want nothing", good.dir, good.imported, got)
		}
	}
}
