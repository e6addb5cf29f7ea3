//go:build browser

package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"popup/internal/testutil"
)

// axe-core finds what keeps people from using a page. It is fetched by npm, once, and
// is what its makers published at that version.
const (
	axeVersion = "4.14.1"
	axeSHA512  = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	axeMost    = 4 << 20 // bytes of its script
)

// readAxe is its script.
func readAxe(t *testing.T) string {
	t.Helper()
	cache := filepath.Join(testutil.RepositoryRoot(t), ".cache")
	name := "axe-core-" + axeVersion + ".tgz"
	if _, err := os.Stat(filepath.Join(cache, name)); err != nil {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		npm := exec.CommandContext(t.Context(), "npm", "pack", "--pack-destination", cache, "axe-core@"+axeVersion)
		if out, err := npm.CombinedOutput(); err != nil {
			t.Fatalf("fetch axe-core: %v\n%s", err, out)
		}
	}
	packed, err := os.ReadFile(filepath.Join(cache, name))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha512.Sum512(packed); base64.StdEncoding.EncodeToString(sum[:]) != axeSHA512 {
		t.Fatalf("%s in %s is not what was published; remove it, and try again", name, cache)
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if err != nil {
			t.Fatalf("find the script in %s: %v", name, err)
		}
		if h.Name == "package/axe.min.js" {
			script, err := io.ReadAll(io.LimitReader(files, axeMost))
			if err != nil {
				t.Fatal(err)
			}
			return string(script)
		}
	}
}

// runAxe is evaluated in a page that has the script.
const runAxe = `axe.run(document, {resultTypes: ["violations"], preload: false}).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.map(v => v.impact + ": " + v.help + " (" + v.id + "): " + v.nodes.map(n => n.html.slice(0, 160) + " " + (n.any[0] || n.all[0] || n.none[0] || {message: ""}).message).join("; ")))`

// barriers are the serious faults that axe-core finds in the page.
func (b *tab) barriers(axe string) []string {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void]("if (!window.axe) {"+axe+"}")))
	found, err := ask[[]string](b, runAxe)
	b.must(err)
	return found
}
