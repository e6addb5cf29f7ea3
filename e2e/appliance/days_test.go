package appliance

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/testutil"
)

// qaBoard is the shipped board's manifest, in the tree as its user has it.
const qaBoard = "../../apps/catalogue/qa-board/app.yaml"

// Every day upstream becomes the served day: the published tree is what tar would
// have unpacked, and no request fails while it is flipped to.
func TestEveryDayIsPublishedWholeUnderLoad(t *testing.T) {
	days := testutil.Days(t, 52)
	repo := testutil.NewRepo(t)
	repo.CommitDay(days[0])
	root := tempRoot(t)
	u := startUp(t, root, "--config", qaBoard, "--data", repo.URL())
	u.until("live", func() bool { return u.status().Live })

	load := startLoad(u.url+"/", 4)
	for i, day := range days {
		commit := repo.CommitDay(day)
		if i > 0 {
			if _, err := u.client().Sync(t.Context()); err != nil {
				t.Fatalf("sync %s: %v", day.Name, err)
			}
		}
		if served := u.status().Serving.Revision; i > 0 && string(served) != commit {
			t.Fatalf("day %s: %s is served; want %s", day.Name, served, commit)
		}
		if diff := diffTrees(untar(t, day.Tarball), readTree(t, filepath.Join(root, "var/lib/popup/data/current"))); diff != "" {
			t.Fatalf("day %s is not what tar unpacks: %s", day.Name, diff)
		}
	}
	done, failed := load.stop()
	t.Logf("%d days, %d requests, %d failed", len(days), done, len(failed))
	if len(failed) > 0 || done < int64(len(days)) {
		t.Errorf("%d of %d requests failed: %s", len(failed), done, failed[0])
	}
}

// A page that reads two files, with time between, sees both of one day.
func TestSlowPageNeverMixesTwoDays(t *testing.T) {
	service := writeFiles(t, t.TempDir(), map[string]string{
		"app.yaml": `manifest_version: 1
id: slow
name: Slow
data: {repository: "file:///given/by/data", mount: days}
serve: {type: php}
`,
		"index.php": `<?php $a = file_get_contents(__DIR__.'/days/a'); if (isset($_GET['slow'])) usleep(200000);
echo $a === file_get_contents('days/b') ? "one day: $a" : "MIXED";`,
	})
	repo := testutil.NewRepo(t)
	day := func(n int) string {
		text := fmt.Sprint("day ", n)
		return repo.Commit(map[string]string{"a": text, "b": text})
	}
	day(0)
	u := startUp(t, tempRoot(t), "--config", service, "--data", repo.URL())
	u.await("/", "one day: day 0")
	load := startLoad(u.url+"/?slow=1", 8)
	for n := 1; n <= 20; n++ {
		day(n)
		if _, err := u.client().Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		u.await("/", fmt.Sprint("one day: day ", n))
	}
	done, failed := load.stop()
	if len(failed) > 0 || done < 20 {
		t.Errorf("%d of %d requests failed or mixed days: %v", len(failed), done, failed)
	}
}

// A load is a steady stream of requests. An answer that is not 200, or says that
// it mixed, has failed.
type load struct {
	wait   sync.WaitGroup
	quit   chan struct{}
	done   atomic.Int64
	mu     sync.Mutex
	failed []string
}

func startLoad(url string, workers int) *load {
	l := &load{quit: make(chan struct{})}
	for range workers {
		l.wait.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-l.quit:
					return
				case <-pace.C:
					l.one(url)
				}
			}
		})
	}
	return l
}

func (l *load) one(url string) {
	var body []byte
	resp, err := http.Get(url)
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was read to its end
		if err == nil && (resp.StatusCode != http.StatusOK || bytes.Contains(body, []byte("MIXED"))) {
			err = fmt.Errorf("%s: %.200s", resp.Status, body)
		}
	}
	l.done.Add(1)
	if err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, err.Error())
		l.mu.Unlock()
	}
}

func (l *load) stop() (done int64, failed []string) {
	close(l.quit)
	l.wait.Wait()
	return l.done.Load(), l.failed
}

// readTree describes a tree by what must be equal: names, types, contents, link
// targets and the executable bit.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree, err := treeOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func treeOf(dir string) (map[string]string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	tree := map[string]string{}
	return tree, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		says := d.Type().String()
		switch {
		case d.Type().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			says += fmt.Sprintf(" %v %x", info.Mode()&0o100 != 0, sha256.Sum256(text))
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			says += " -> " + target
		}
		tree[strings.TrimPrefix(path, dir)] = says
		return nil
	})
}

// untar is what tar itself makes of a tarball.
func untar(t *testing.T, tarball []byte) map[string]string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("tar", "xzf", "-", "-C", dir)
	cmd.Stdin = bytes.NewReader(tarball)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v %s", err, out)
	}
	return readTree(t, dir)
}

// diffTrees names the first difference.
func diffTrees(want, got map[string]string) string {
	for _, path := range sortedKeys(want, got) {
		if want[path] != got[path] {
			return fmt.Sprintf("%s is %q; want %q", path, got[path], want[path])
		}
	}
	return ""
}

func sortedKeys(trees ...map[string]string) []string {
	all := map[string]bool{}
	for _, tree := range trees {
		for path := range tree {
			all[path] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
