package catalogue

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the sample of apps/catalogue/qa-board anew")

const dataFolder = "cache_storage_for_open_qa"

// A sampleRun is one run of a test of our invention. What is not said is what
// most runs have.
type sampleRun struct {
	day   int // of sampleDays
	clock string
	test  string
	uid   int
	stage string // empty: nothing was published but the run's name
	hash  string
	// steps, when there is a body: a step and its result, like "disk:failed 3 / 12".
	steps string
}

var sampleDays = []string{"2026-05-04", "2026-05-05", "2026-05-06", "2026-05-07", "2026-05-08", "2026-05-09", "2026-05-10"}

const (
	goodSteps = "PXEBOOT:passed BUILD:passed TEST:passed unpack:passed start_services:passed sign_in:passed tear_down:passed"
	badSignIn = "PXEBOOT:passed BUILD:passed TEST:failed unpack:passed start_services:passed sign_in:failed tear_down:passed"
	badDisk   = "PXEBOOT:passed BUILD:passed TEST:failed unpack:passed fill_disk_No_000:passed fill_disk_No_001:failed_3_/_12 tear_down:failed"
)

// The variants of the real days are all here: a day without runs, a run without
// a result, a run without a body, one that was killed in a step, a step with a
// note, steps in rounds, a hash that is a branch.
var sampleRuns = []sampleRun{
	{0, "08:10:00", "harbor-login-smoke", 1000, "passed", "", goodSteps},
	{0, "09:25:31", "harbor-disk-soak", 1000, "failed", "", badDisk},
	{0, "13:02:44", "lagoon-ha-failover", 1000, "passed", "", ""},
	{1, "08:10:00", "harbor-login-smoke", 1001, "failed", "", badSignIn},
	{1, "08:48:12", "harbor-login-smoke", 1002, "failed", "dev/mina/login-timeout", badSignIn},
	{1, "10:30:09", "reef-package-build", 1000, "passed", "", ""},
	{1, "15:11:51", "lagoon-ha-failover", 1001, "killed", "", "PXEBOOT:passed BUILD:passed TEST:running start_services:killed"},
	{2, "08:10:00", "harbor-login-smoke", 1003, "passed", "", goodSteps},
	{2, "09:25:02", "harbor-disk-soak", 1001, "failed", "", badDisk},
	{2, "11:00:00", "reef-upgrade-2-to-3", 1000, "failed", "", ""},
	{2, "12:40:20", "reef-package-build", 1001, "passed", "", ""},
	{2, "16:20:37", "lagoon-ha-failover", 1002, "passed", "", goodSteps},
	{4, "08:10:00", "harbor-login-smoke", 1004, "passed", "", goodSteps},
	{4, "09:25:14", "harbor-disk-soak", 1002, "passed", "", goodSteps},
	{4, "10:05:55", "reef-upgrade-2-to-3", 1001, "failed", "", badSignIn},
	{4, "14:44:44", "lagoon-ha-failover", 1003, "passed", "", ""},
	{5, "08:10:00", "harbor-login-smoke", 1005, "passed", "", goodSteps},
	{5, "10:12:03", "reef-upgrade-2-to-3", 1002, "passed", "", ""},
	{6, "08:10:00", "harbor-login-smoke", 1006, "passed", "", goodSteps},
	{6, "09:25:48", "harbor-disk-soak", 1003, "passed", "", goodSteps},
	{6, "10:09:30", "reef-package-build", 1002, "passed", "", ""},
	{6, "12:00:01", "lagoon-ha-failover", 1004, "failed", "", badSignIn},
	{6, "17:31:00", "reef-upgrade-2-to-3", 1003, "", "", ""},
}

const sampleInfo = `
#TESTUNIT INFO

PXEBOOT	The machine starts from the network
BUILD	The packages are built and installed
TEST	[testunit_description_comes_here]
unpack	Unpacks the build on every machine
start_services	Starts the services and waits until each answers
sign_in	Signs in as three different people
fill_disk	Fills the disk to nine tenths and reads it back
tear_down	Gives everything back
`

func TestSampleIsCurrent(t *testing.T) {
	path := sampleArchive()
	want := sampleFiles()
	if *update {
		if err := os.WriteFile(path, packSample(t, want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, unpackSample(t, path)); diff != "" {
		t.Errorf("%s is not what the generator makes (write it with -update):\n%s", path, diff)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 8<<10 {
		t.Errorf("the sample should be a few KB: %v, %v", info.Size(), err)
	}
}

// sampleFiles is the sample by name.
func sampleFiles() map[string]string {
	files := map[string]string{"test_info/testunit_info.txt": sampleInfo}
	for _, day := range sampleDays {
		files["this_date_test_list_"+day+".lst"] = ""
	}
	for _, r := range sampleRuns {
		day := sampleDays[r.day]
		files["this_date_test_list_"+day+".lst"] += fmt.Sprintf("%s %d\n", r.test, r.uid)
		files["config_file_storage/inactive/"+r.test+".conf"] = "TEST_NAME\t" + r.test + "\nNETWORK\tMANAGED\n"
		if r.stage == "" {
			continue
		}
		id := fmt.Sprintf("%s_UID_%d.cache", r.test, r.uid)
		files["open_qa_"+id] = fmt.Sprintf("[%s %s] TESTNAME %s UID %d SEQUENCE %s OS CENTOS 6.4 GIT_HASH %s TEST_STAGE %s",
			day, r.clock, r.test, r.uid, r.sequence(), r.commit(), r.stage)
		if r.steps != "" {
			files["body_"+id] = r.body()
		}
	}
	return files
}

func (r sampleRun) sequence() string { return strings.SplitN(r.test, "-", 2)[1] + "-1.0" }

func (r sampleRun) commit() string {
	if r.hash != "" {
		return r.hash
	}
	return strings.Repeat(fmt.Sprintf("%x%x%02x", 10+r.day, r.uid%16, r.day*31+7), 10)
}

// body is a run's page as the lab publishes it: a row of two tables, of which
// the first says what ran and the second how each step went.
func (r sampleRun) body() string {
	link := func(inner string) string {
		return `<a href="http://lab.invalid/` + r.test + `"><font color="black">` + inner + "</font></a>"
	}
	row := func(tag string, cells ...string) string {
		return "<tr><" + tag + ">" + strings.Join(cells, "</"+tag+"><"+tag+">") + "</" + tag + ">"
	}
	facts := row("th", "TS", "TESTNAME", "UID", "GIT_REPO", "GIT_HASH", "TEST_SEQ", "DURATION", "NETWORK", "DISTRO", "VER", "ARCH", "MACHINES") + "</tr>\n" +
		row("td", link(sampleDays[r.day]+" "+r.clock), strings.ReplaceAll(r.test, "-", "-<br>"), fmt.Sprint(r.uid), "internal<br>#testing", r.commit()[:8]+"..",
			strings.ReplaceAll(r.sequence(), "-", "-<br>"), "FREEZE", "MANAGED", "CENTOS", "6.4", "64", "192.0.2.10 192.0.2.11 ")
	var names, results []string
	for _, step := range strings.Fields(r.steps) {
		name, result, _ := strings.Cut(step, ":")
		word, note, _ := strings.Cut(result, "_")
		names = append(names, name)
		results = append(results, "<br>"+link(word+"<br>"+strings.ReplaceAll(note, "_", " ")))
	}
	return "<pre><table><tr><td><div><table border=\"1\">" + facts + "</table></div></td><td><div><table border=\"1\">" +
		row("th", names...) + "</tr>" + row("td", results...) + "</tr></table></div></td></tr></table></pre>\n"
}

// packSample makes the same bytes of the same files, with one Go.
func packSample(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(gz)
	folders := map[string]bool{}
	stamp := time.Date(2026, 5, 11, 0, 50, 0, 0, time.UTC)
	put := func(h tar.Header, body string) {
		h.ModTime, h.Size, h.Format = stamp, int64(len(body)), tar.FormatUSTAR
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, body); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full := dataFolder + "/" + name
		for i, c := range full {
			if c == '/' && !folders[full[:i]] {
				folders[full[:i]] = true
				put(tar.Header{Typeflag: tar.TypeDir, Name: full[:i+1], Mode: 0o755}, "")
			}
		}
		put(tar.Header{Typeflag: tar.TypeReg, Name: full, Mode: 0o644}, files[name])
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func unpackSample(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, dataFolder+"/")] = string(body)
	}
}
