//go:build browser

package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// program is the popup under test, as a release would be built; POPUP=FILE is another.
var program = os.Getenv("POPUP")

// chromium is the one browser of all tests; each tab of it has cookies of its own.
var chromium context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "popup-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/browser:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if program == "" {
		program = filepath.Join(dir, "popup")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "popup/cmd/popup")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e/browser: build popup: %v\n%s", err, out)
			return 1
		}
	}
	// Debian's browser is started through a script that reads the home of its user.
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("lang", "en-US"), chromedp.Env("LANGUAGE=en_US", "TZ=UTC"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // it refuses to run as root otherwise
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	defer stop()
	ctx, end := chromedp.NewContext(allocated)
	defer end()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "e2e/browser: start chromium: %v. Install it (on Debian: apt-get install chromium), then try again.\n", err)
		return 1
	}
	chromium = ctx
	return m.Run()
}
