package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"popup/internal/testutil"
)

// aptPackage is small, needs nothing but the C library, and no image has it.
const aptPackage = "tree"

// serveApt serves a repository of aptPackage at /apt: packages of this
// machine's own mirror, downloaded once, and an index of our making.
func (s *site) serveApt() {
	s.t.Helper()
	cache := filepath.Join(testutil.RepositoryRoot(s.t), ".cache", "apt")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		s.t.Fatal(err)
	}
	debs := s.debs(cache)
	if len(debs) == 0 {
		s.download(cache)
		debs = s.debs(cache)
	}
	var index strings.Builder
	for _, deb := range debs {
		data, err := os.ReadFile(deb)
		if err != nil {
			s.t.Fatal(err)
		}
		control, err := exec.CommandContext(s.t.Context(), "dpkg-deb", "--field", deb).Output()
		if err != nil {
			s.t.Fatalf("read %s: %v", deb, err)
		}
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, filepath.Base(deb), len(data), sha256.Sum256(data))
	}
	s.mux.Handle("/apt/", http.StripPrefix("/apt/", http.FileServer(http.Dir(cache))))
	s.mux.HandleFunc("/apt/Packages", func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write([]byte(index.String()))
		noError(s.t, err)
	})
}

func (s *site) debs(cache string) []string {
	s.t.Helper()
	debs, err := filepath.Glob(filepath.Join(cache, aptPackage+"_*.deb"))
	if err != nil {
		s.t.Fatal(err)
	}
	return debs
}

// download fetches the package aside and moves it into the cache when it is whole.
func (s *site) download(cache string) {
	s.t.Helper()
	dir, err := os.MkdirTemp(cache, "tmp-")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { noError(s.t, os.RemoveAll(dir)) }()
	// A machine that has no package lists, or old ones, fetches them and tries again.
	download := []string{"-o", "APT::Sandbox::User=root", "download", aptPackage}
	for _, args := range [][]string{download, {"-qq", "update"}, download} {
		cmd := exec.CommandContext(s.t.Context(), "apt-get", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err == nil && args[len(args)-1] == aptPackage {
			break
		}
		if err != nil {
			s.t.Logf("apt-get %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, name := range names {
		err = errors.Join(err, os.Rename(name, filepath.Join(cache, filepath.Base(name))))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if len(names) == 0 {
		s.t.Fatalf("%s could not be downloaded; this machine's apt says why", aptPackage)
	}
}
