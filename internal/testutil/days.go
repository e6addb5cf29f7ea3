// Package testutil makes what tests run against: real git repositories and
// servers, and days of real or realistic data.
package testutil

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Tarball is the name under which each day replaces the last.
const Tarball = "cache_storage_for_open_qa.tar.gz"

// A Day is one day of data as its project published it: one tarball.
type Day struct {
	Name    string // like 2013-05-01
	Tarball []byte // tar.gz
}

// Days returns n days, oldest first: the real ones where ../shared/data is beside
// the repository, and after them, or without them, generated ones of the same shape.
func Days(t testing.TB, n int) []Day {
	t.Helper()
	days := realDays(t)
	days = days[:min(n, len(days))]
	for i := len(days); i < n; i++ {
		days = append(days, GeneratedDay(t, i))
	}
	return days
}

func realDays(t testing.TB) []Day {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(RepositoryRoot(t), "../shared/data/open-qa-frontend-data/*.tar.gz"))
	if err != nil {
		t.Fatalf("find real days: %v", err)
	}
	days := make([]Day, 0, len(files))
	for _, file := range files { // sorted by name, which is the day
		tarball, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("read real day: %v", err)
		}
		days = append(days, Day{strings.TrimSuffix(filepath.Base(file), ".tar.gz"), tarball})
	}
	return days
}

// RepositoryRoot is the folder of go.mod, above the test.
func RepositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above the test")
		}
	}
}

// GeneratedDay makes day number i: always the same bytes for the same number, and
// little changed from the day before.
func GeneratedDay(t testing.TB, i int) Day {
	t.Helper()
	date := time.Date(2013, 5, 1, 7, 1, 0, 0, time.UTC).AddDate(0, 0, i)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	const top = "./cache_storage_for_open_qa/"
	add := func(name string, content []byte) {
		h := &tar.Header{Name: top + name, Mode: 0o644, Size: int64(len(content)), ModTime: date, Typeflag: tar.TypeReg}
		if strings.HasSuffix(name, "/") || name == "" {
			h.Mode, h.Typeflag = 0o755, tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("make day: %v", err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatalf("make day: %v", err)
		}
	}
	add("", nil)
	for back := range 7 {
		day := date.AddDate(0, 0, -back)
		addTests(add, day)
	}
	add("graphs/", nil)
	for _, name := range branches {
		add("graphs/graph_test_history_"+name+".png", chart(t, name, i))
	}
	add("test_info/", nil)
	add("test_info/procedures/", nil)
	for _, name := range branches {
		add("test_info/procedures/"+strings.ReplaceAll(name, "-", "_")+"_test.txt", []byte("Start the instances of "+name+", then run its tests.\n"))
	}
	add("test_info/testunit_info.txt", []byte("a note that is the same every day\n"))
	add("test_share/", nil)
	add("test_share/case_1.txt", nil)
	if err := w.Close(); err != nil {
		t.Fatalf("make day: %v", err)
	}
	if err := z.Close(); err != nil {
		t.Fatalf("make day: %v", err)
	}
	return Day{date.Format(time.DateOnly), out.Bytes()}
}

var branches = []string{"core-build", "network-managed", "storage-das", "storage-san", "ui-team", "windows-guests"}

// addTests adds what was tested on one day.
func addTests(add func(name string, content []byte), day time.Time) {
	random := rand.New(rand.NewPCG(uint64(day.Unix()), 1))
	date := day.Format(time.DateOnly)
	var list strings.Builder
	for n := range 4 + random.IntN(6) {
		test, uid := branches[random.IntN(len(branches))], 1000+day.YearDay()*10+n
		result := "passed"
		if random.IntN(4) == 0 {
			result = "failed"
		}
		id := fmt.Sprintf("%s_UID_%d", test, uid)
		fmt.Fprintf(&list, "%s %d\n", test, uid)
		add("open_qa_"+id+".cache", fmt.Appendf(nil, "[%s %02d:%02d:00] TESTNAME %s UID %d SEQUENCE all-steps OS DEBIAN 12 GIT_HASH %040x TEST_STAGE %s",
			date, 8+n, random.IntN(60), test, uid, random.Uint64(), result))
		var body strings.Builder
		for step := range 5 + random.IntN(40) {
			fmt.Fprintf(&body, "[%s] step %d of %s took %d s\n", date, step, test, random.IntN(600))
		}
		add("body_"+id+".cache", []byte(body.String()))
	}
	add("this_date_test_list_"+date+".lst", []byte(list.String()))
}

// chart draws a small picture.
func chart(t testing.TB, name string, day int) []byte {
	t.Helper()
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	random := rand.New(rand.NewPCG(h.Sum64(), uint64(day)))
	picture := image.NewRGBA(image.Rect(0, 0, 60, 20))
	for x := range 60 {
		for y := random.IntN(20); y < 20; y++ {
			picture.Set(x, y, color.RGBA{G: 128, A: 255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatalf("draw chart: %v", err)
	}
	return out.Bytes()
}
