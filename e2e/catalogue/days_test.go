package catalogue

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// unpack writes a day's archive to a folder and returns the folder that is
// mounted. It is for data that the project trusts.
func unpack(t testing.TB, day testutil.Day) string {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(day.Tarball))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return filepath.Join(dir, dataFolder)
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = writeFrom(path, tr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func writeFrom(path string, r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// plant makes a data folder of files.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := writeFrom(filepath.Join(dir, name), strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A truth is what a data folder says of a day, read here another way than the
// board reads it.
type truth struct {
	day                  string
	runs, passed, failed int
}

var stage = regexp.MustCompile(`TEST_STAGE (\w+)`)

// truths are the days of a data folder, the newest first.
func truths(t testing.TB, dir string) []truth {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(dir, "this_date_test_list_*.lst"))
	if err != nil || len(lists) == 0 {
		t.Fatalf("no days in %s: %v", dir, err)
	}
	slices.Sort(lists)
	slices.Reverse(lists)
	var days []truth
	for _, list := range lists {
		body, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		day := truth{day: strings.TrimSuffix(list[len(list)-14:], ".lst")}
		known := map[string]bool{} // one real day lists a run twice
		for _, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
			test, uid, found := strings.Cut(line, " ")
			if !found || known[line] {
				continue
			}
			known[line] = true
			day.runs++
			result, err := os.ReadFile(filepath.Join(dir, "open_qa_"+test+"_UID_"+uid+".cache"))
			if err != nil {
				continue
			}
			switch stage.FindStringSubmatch(string(result))[1] {
			case "passed":
				day.passed++
			case "failed":
				day.failed++
			}
		}
		days = append(days, day)
	}
	return days
}

// archives are the days of the data as they were published, and the sample.
func archives(t testing.TB) []testutil.Day {
	t.Helper()
	return append(testutil.Days(t, 52), sampleDay(t))
}

// largest is the archive with the most bytes.
func largest(t testing.TB) testutil.Day {
	t.Helper()
	return slices.MaxFunc(archives(t), func(a, b testutil.Day) int { return len(a.Tarball) - len(b.Tarball) })
}

func sampleDay(t testing.TB) testutil.Day {
	t.Helper()
	tarball, err := os.ReadFile(sampleArchive())
	if err != nil {
		t.Fatal(err)
	}
	return testutil.Day{Name: "sample", Tarball: tarball}
}

func sampleArchive() string {
	return filepath.Join(shipped("qa-board"), "sample", testutil.Tarball)
}
