package git_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// wideRepo has 20,000 files of about 1 KB in 400 folders, and a second commit in
// which ten of them are others.
func wideRepo(b *testing.B) (repo *testutil.GitRepo, first, second string) {
	repo = testutil.NewRepo(b)
	noise := rand.NewChaCha8([32]byte{})
	var in bytes.Buffer
	file := func(n int) {
		var text [512]byte
		_, _ = noise.Read(text[:]) // it never fails
		fmt.Fprintf(&in, "M 100644 inline d%d/e%d/f%d\ndata 1024\n%s\n", n%20, n%400, n, hex.EncodeToString(text[:]))
	}
	commit := func() {
		in.WriteString("commit refs/heads/main\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\n")
	}
	commit()
	for n := range 20_000 {
		file(n)
	}
	commit()
	for n := range 10 {
		file(n * 1999)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Env, cmd.Stdin = repo.Dir, testutil.GitEnv(), &in
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git fast-import: %v: %s", err, out)
	}
	repo.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	return repo, repo.Git("rev-parse", "main~1"), repo.Git("rev-parse", "main")
}

// cpu is what a process, and those it waited for, used.
func cpu(u *syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return cpu(&u)
}

func report(b *testing.B, used time.Duration) {
	b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// BenchmarkClone fetches 20,000 files. Ours counts in what the server of the test
// copies; the server's git is counted nowhere.
func BenchmarkClone(b *testing.B) {
	repo, _, commit := wideRepo(b)
	server := testutil.NewGitServer(b, filepath.Dir(repo.Dir))
	b.Run("git", func(b *testing.B) {
		var used time.Duration
		for b.Loop() {
			cmd := exec.Command("git", "clone", "-q", "--depth=1", server.URL+"/upstream", filepath.Join(b.TempDir(), "clone"))
			cmd.Env = testutil.GitEnv()
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("git clone: %v: %s", err, out)
			}
			used += cpu(cmd.ProcessState.SysUsage().(*syscall.Rusage))
		}
		report(b, used)
	})
	b.Run("popup", func(b *testing.B) {
		r, err := git.New(server.URL+"/upstream", git.Options{})
		if err != nil {
			b.Fatal(err)
		}
		var used time.Duration
		for b.Loop() {
			before := ownCPU(b)
			if _, err := fetchOnto(b, r, commit, "", b.TempDir(), tree.WriterOptions{}); err != nil {
				b.Fatal(err)
			}
			used += ownCPU(b) - before
		}
		report(b, used)
	})
}

// BenchmarkUpdate fetches ten changed files of 20,000 into a spare.
func BenchmarkUpdate(b *testing.B) {
	repo, first, second := wideRepo(b)
	server := testutil.NewGitServer(b, filepath.Dir(repo.Dir))
	r, err := git.New(server.URL+"/upstream", git.Options{})
	if err != nil {
		b.Fatal(err)
	}
	get := func(commit, have, dir string, opts tree.WriterOptions) copyOf {
		c, err := fetchOnto(b, r, commit, have, dir, opts)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	spare := get(first, "", b.TempDir(), tree.WriterOptions{})
	base := get(second, first, b.TempDir(), tree.WriterOptions{Base: spare.base(true)})
	var used time.Duration
	for b.Loop() {
		before := ownCPU(b)
		next := get(spare.commit, base.commit, spare.dir, tree.WriterOptions{Base: base.base(true), Spare: spare.index})
		used += ownCPU(b) - before
		spare, base = base, next
	}
	report(b, used)
}
