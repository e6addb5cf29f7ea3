package catalogue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
)

// Every archive is shown with the figures it holds, whichever day it is of.
func TestBoardShowsEveryDay(t *testing.T) {
	socket := startFPM(t)
	for _, archive := range archives(t) {
		dir := unpack(t, archive)
		b := serveBoard(t, socket, dir)
		page := b.page(t, "/")
		all := truths(t, dir)
		reads(t, page, "Data of "+all[0].day, all[len(all)-1].day+" to "+all[0].day, "Board complete: data of "+all[0].day+".")
		for _, day := range all {
			at, err := time.Parse(time.DateOnly, day.day)
			if err != nil {
				t.Fatal(err)
			}
			row := fmt.Sprintf("%s %d %d %d %d", at.Format("Mon 2006-01-02"), day.runs, day.passed, day.failed, day.runs-day.passed-day.failed)
			reads(t, page, row)
			detail := b.page(t, "/day.php?date="+day.day)
			if got := strings.Count(detail, `href="run.php?`); got != day.runs {
				t.Errorf("%s: %s shows %d runs, want %d", archive.Name, day.day, got, day.runs)
			}
		}
		b.silent(t)
	}
}

// From the first page every run, test and day is reached, and every page is whole.
func TestBoardHasNoDeadEnd(t *testing.T) {
	socket := startFPM(t)
	for _, archive := range []testutil.Day{sampleDay(t), largest(t)} {
		dir := unpack(t, archive)
		b := serveBoard(t, socket, dir)
		runs, started := 0, time.Now()
		for _, day := range truths(t, dir) {
			runs += day.runs
		}
		pages := crawl(t, b)
		if got := len(pathsOf(pages, "/run.php?")); got != runs {
			t.Errorf("%d runs are reached, want %d", got, runs)
		}
		if got, want := len(pathsOf(pages, "/day.php?")), len(truths(t, dir)); got != want {
			t.Errorf("%d days are reached, want %d", got, want)
		}
		b.silent(t)
		t.Logf("%d pages, %s a page", len(pages), time.Since(started)/time.Duration(len(pages)))
	}
}

func TestBoardSaysHowARunWent(t *testing.T) {
	b := serveBoard(t, startFPM(t), unpack(t, sampleDay(t)))
	for path, texts := range map[string][]string{
		"/":                                 {"61 % passed", "Runs 23", "Passed", "Killed 1", "No result 1", "5 of them;", "Sun 2026-05-10 5 3 1 1", "Thu 2026-05-07 0 0 0 0"},
		"/day.php?date=2026-05-04":          {"67 % passed", "09:25 harbor-disk-soak run 1000", "disk-soak-1.0 · CENTOS 6.4 · commit", "4 of 7 steps passed; failed: fill_disk, tear_down", "Day after: Tue 2026-05-05"},
		"/day.php?date=2026-05-07":          {"Nothing ran.", "No test ran on this day."},
		"/test.php?name=lagoon-ha-failover": {"Runs 5", "Steps that failed", "sign_in 1", "Sun 2026-05-10 12:00 run 1004"},
		"/run.php?test=harbor-disk-soak&uid=1000": {"✗ failed Run 1000, Mon 2026-05-04 09:25:31", "Sequence disk-soak-1.0", "Branch internal#testing", "Machines 2",
			"fill_disk round 2 3 / 12 Fills the disk to nine tenths and reads it back", "✓ passed unpack Unpacks the build on every machine"},
		"/run.php?test=harbor-login-smoke&uid=1002":  {"Commit dev/mina/login-timeout"},
		"/run.php?test=lagoon-ha-failover&uid=1001":  {"■ killed Run 1001", "… running TEST", "■ killed start_services"},
		"/run.php?test=lagoon-ha-failover&uid=1000":  {"The steps of this run were not published."},
		"/run.php?test=reef-upgrade-2-to-3&uid=1003": {"? no result Run 1003", "announced, and no result of it was published"},
	} {
		reads(t, b.page(t, path), texts...)
	}
	b.silent(t)
}

func TestBoardAnswersWhatIsNotThere(t *testing.T) {
	b := serveBoard(t, startFPM(t), unpack(t, sampleDay(t)))
	for path, text := range map[string]string{
		"/day.php?date=2026-05-11":                   "This data has no such day. Its days are 2026-05-04 to 2026-05-10.",
		"/day.php":                                   "no such day",
		"/day.php?date[]=2026-05-04":                 "no such day",
		"/day.php?date=../../src/board.php":          "no such day",
		"/test.php?name=none":                        "No test of this name ran from 2026-05-04 to 2026-05-10.",
		"/test.php?name=<script>alert(1)</script>":   "No test of this name",
		"/run.php?test=harbor-disk-soak&uid=1":       "This test has no run of that number",
		"/run.php?test=harbor-disk-soak&uid[x]=1":    "This test has no run of that number",
		"/run.php?test=..%2F..%2Fetc%2Fpasswd&uid=1": "No test of this name",
		"/run.php?test=harbor-disk-soak%00&uid=1000": "No test of this name",
	} {
		status, body := get(t, b.url+strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path))
		if status != 404 || strings.Contains(body, "<script") {
			t.Errorf("%s: %d", path, status)
		}
		reads(t, body, text)
	}
	for _, path := range []string{"/src/board.php", "/../src/board.php", "/data/test_info/testunit_info.txt", "/%2e%2e/src/board.php"} {
		if status, body := get(t, b.url+path); status != 404 {
			t.Errorf("%s: %d %.100s", path, status, body)
		}
	}
	b.silent(t)
}

// Without data the health check's text must be missing, and the reader is told.
func TestBoardWithoutDataIsUnhealthy(t *testing.T) {
	socket := startFPM(t)
	for name, dir := range map[string]string{
		"There is no data here yet": "",
		"The data holds no day":     plant(t, map[string]string{"open_qa_a_UID_1.cache": "x", "this_date_test_list_x.lst": ""}),
		"There is no data":          filepath.Join(t.TempDir(), "gone"),
	} {
		b := serveBoard(t, socket, dir)
		status, body := get(t, b.url+"/")
		if status != 503 || strings.Contains(body, healthText(t, "qa-board")) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		reads(t, body, name)
		b.silent(t)
	}
}

// A warning of PHP's is an error with a line in the log, never half a page.
func TestBoardTakesAWarningForAnError(t *testing.T) {
	socket := startFPM(t)
	view := t.TempDir()
	if err := os.CopyFS(view, os.DirFS(shipped("qa-board"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(unpack(t, sampleDay(t)), filepath.Join(view, "data")); err != nil {
		t.Fatal(err)
	}
	parts := filepath.Join(view, "src/parts.php")
	source, err := os.ReadFile(parts)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(source), "return '<ol class=\"runs\">' . $html", "return '<ol class=\"runs\">' . $missing . $html", 1)
	if err := os.WriteFile(parts, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	b := serveView(t, socket, view)
	status, body := get(t, b.url+"/day.php?date=2026-05-04")
	if status != 500 || strings.Contains(body, "missing") || strings.Contains(body, healthText(t, "qa-board")) {
		t.Errorf("%d %s", status, body)
	}
	reads(t, body, "Something broke")
	if log := b.log.String(); !strings.Contains(log, "Undefined variable $missing") {
		t.Errorf("the log says %q", log)
	}
}
