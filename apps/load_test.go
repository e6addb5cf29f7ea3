package apps

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder writes files into a folder that is called name.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	dir := folder(t, "somewhere", map[string]string{FileName: plainManifest, "other.yaml": strings.Replace(plainManifest, "board", "other", 1)})
	for _, c := range []struct {
		path, file string
		id         AppID
	}{
		{dir, filepath.Join(dir, FileName), "board"},
		{filepath.Join(dir, "other.yaml"), filepath.Join(dir, "other.yaml"), "other"},
	} {
		got, err := Load(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != c.id || got.File != c.file || got.Dir != dir || got.Detected != "" || got.Shipped != "" {
			t.Errorf("Load(%s) = %+v", c.path, got)
		}
	}
}

func TestLoadSaysWhereTheProblemIs(t *testing.T) {
	dir := folder(t, "x", map[string]string{FileName: "id: 5\n"})
	t.Chdir(dir)
	for path, want := range map[string]string{".": "app.yaml:1:1: id: want text", dir: dir + "/app.yaml:1:1: id: want text", "app.yaml": "app.yaml:1:1: id: want text"} {
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
	if _, err := Load("nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestLoadStaysInTheFolder holds that a repository cannot have another file of this machine read.
func TestLoadStaysInTheFolder(t *testing.T) {
	outside := folder(t, "outside", map[string]string{"secret": "hunter2: 1\n"})
	for _, name := range []string{FileName, "Procfile", appJSONFile} {
		dir := folder(t, "x", map[string]string{"index.html": "x"})
		if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := folder(t, "x", map[string]string{FileName + "/x": "x"})
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), `"app.yaml" is not a regular file`) {
		t.Error(err)
	}
	dir = folder(t, "x", map[string]string{FileName: strings.Repeat("#", MaxSize+1)})
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "is larger than 256 KiB") {
		t.Error(err)
	}
}

func TestLoadCheckout(t *testing.T) {
	bare := folder(t, "tmp-123", map[string]string{"open_qa.php": "<?php"})
	got, err := LoadCheckout(bare, "git@github.com:eucalyptus/open-qa.git", Given{})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != "open-qa" || got.Shipped != "open-qa" || got.Dir != bare ||
		got.Detected != "the repository has no app.yaml; the catalogue's manifest open-qa is for it" {
		t.Errorf("%+v", got)
	}

	own := folder(t, "tmp-123", map[string]string{FileName: plainManifest})
	got, err = LoadCheckout(own, "https://github.com/eucalyptus/open-qa", Given{})
	if err != nil || got.ID != "board" || got.Shipped != "" || got.File != FileName {
		t.Errorf("its own manifest comes first: %+v, %v", got, err)
	}

	site := folder(t, "tmp-123", map[string]string{"index.html": "x"})
	got, err = LoadCheckout(site, "https://example.org/owner/my-site.git", Given{})
	if err != nil || got.ID != "my-site" || got.Name != "My site" {
		t.Errorf("named after the repository: %+v, %v", got, err)
	}

	wrong := folder(t, "tmp-123", map[string]string{FileName: "id: 5\n"})
	_, err = LoadCheckout(wrong, "https://example.org/x", Given{})
	if err == nil || !strings.HasPrefix(err.Error(), "app.yaml:1:1: ") {
		t.Errorf("the temporary folder is named: %v", err)
	}
}

// TestAManifestFromAServerNamesNoFolderHere holds that a stranger's manifest cannot have local folders served.
func TestAManifestFromAServerNamesNoFolderHere(t *testing.T) {
	for _, address := range []string{"file:///etc", "FILE:///etc"} {
		text := plainManifest + "service: {repository: '" + address + "'}\ndata: {source: folder, url: /etc, mount: d}\n"
		dir := folder(t, "x", map[string]string{FileName: text})
		if _, err := LoadCheckout(dir, "file:///srv/git/x", Given{}); err != nil {
			t.Errorf("a local repository may: %v", err)
		}
		_, err := LoadCheckout(dir, "https://example.org/x", Given{})
		if err == nil {
			t.Fatal("no error")
		}
		const why = " is a folder of this machine, and the manifest came from a server — name a repository that can be fetched, or take the manifest from a folder here"
		want := `app.yaml:6:11: service.repository: "` + address + `"` + why + "\n" + `app.yaml:7:24: data.url: "/etc"` + why
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Error(diff)
		}
		for _, c := range []struct {
			given Given
			lines int
		}{{Given{Service: true}, 1}, {Given{Data: true}, 1}, {Given{Service: true, Data: true}, 0}} {
			_, err := LoadCheckout(dir, "https://example.org/x", c.given)
			var problems Problems
			if errors.As(err, &problems); len(problems) != c.lines {
				t.Errorf("where %+v replaces what it names: %v", c.given, err)
			}
		}
		dir = folder(t, "x", map[string]string{FileName: plainManifest + "data: {source: folder, url: sample, mount: d}\n"})
		if _, err := LoadCheckout(dir, "https://example.org/x", Given{}); err != nil {
			t.Errorf("a folder beside the manifest: %v", err)
		}
	}
}
