package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pooled finds a call that is handed gin's context for a context of its own: gin uses it
// again for another request, while what was begun with it may still ask whether it ended.
var pooled = regexp.MustCompile(`(console|catalogue|log|all)\.[A-Z]\w*\((out\.)?c[,)]`)

func TestNoRequestOutlivesItsContext(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		must(t, err)
		looked += strings.Count(string(text), "c.Request.Context()")
		for _, found := range pooled.FindAllString(string(text), -1) {
			t.Errorf("%s: %s… ; hand it c.Request.Context()", file, found)
		}
	}
	if looked < 50 {
		t.Errorf("only %d calls were found", looked)
	}
}
