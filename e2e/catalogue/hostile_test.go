package catalogue

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

const day = "2026-05-04"

func result(test string, uid int, field string) string {
	return fmt.Sprintf("[%s 08:00:00] TESTNAME %s UID %d SEQUENCE %s OS %s GIT_HASH %s TEST_STAGE failed", day, test, uid, field, field, field)
}

func steps(names, results string) string {
	return "<pre><table><tr><td><table><th>GIT_REPO</th><td>r</td></table><table>" + names + results + "</table></table></pre>"
}

// What the data says is shown as text: no element of it, no file outside of it.
func TestBoardShowsHostileDataAsText(t *testing.T) {
	const script = `<script>alert(1)</script>`
	dir := plant(t, map[string]string{
		"this_date_test_list_" + day + ".lst": "fine 1\n../../../../etc/passwd 2\n" + script + " 3\nfine 4x\n-dash 5\nfine 6 7\nlinked 8\nbig 9\nbytes 10\r\n",
		"open_qa_fine_UID_1.cache":            result("fine", 1, `"onmouseover=alert(1)`),
		"body_fine_UID_1.cache": steps("<th>a"+script+"</th><th>b&lt;img src=x onerror=alert(1)&gt;</th><th>fill</th>",
			`<td>failed<br>&lt;script&gt;</td><td><a href="javascript:alert(1)">passed</a></td><td><script>failed</td>`),
		"open_qa_big_UID_9.cache":      result("big", 9, "x") + strings.Repeat(" ", 8<<10),
		"body_big_UID_9.cache":         strings.Repeat("<table><th>", 64<<10),
		"open_qa_bytes_UID_10.cache":   result("bytes", 10, "\xff\xfe\xc3\x28"),
		"test_info/testunit_info.txt":  "fill\t<img src=x onerror=alert(1)>\n[x]\nno tab\n\t\n",
		"this_date_test_list_9.lst":    "fine 1\n",
		"this_date_test_list_../x.lst": "",
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(result("linked", 8, "secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "open_qa_linked_UID_8.cache")); err != nil {
		t.Fatal(err)
	}
	b := serveBoard(t, startFPM(t), dir)
	pages := crawl(t, b)
	for path, page := range pages {
		onlyOurs(t, path, page)
		if strings.Contains(page, "secret") || strings.Contains(page, "passwd") {
			t.Errorf("%s shows what is not the board's", path)
		}
	}
	want := []string{"/run.php?test=big&uid=9", "/run.php?test=bytes&uid=10", "/run.php?test=fine&uid=1", "/run.php?test=linked&uid=8"}
	if got := pathsOf(pages, "/run.php?"); !slices.Equal(got, want) {
		t.Errorf("the runs are %v, want %v", got, want)
	}
	reads(t, pages["/run.php?test=fine&uid=1"], `Sequence "onmouseover=alert(1)`, "b<img src=x onerror=alert(1)>", "fill <img src=x onerror=alert(1)>")
	reads(t, pages["/run.php?test=big&uid=9"], "no result of it was published")
	reads(t, pages["/run.php?test=bytes&uid=10"], "Commit \ufffd")
	b.silent(t)
}

// The largest data that is looked at is shown within the time and the memory a page has.
func TestBoardIsBounded(t *testing.T) {
	files := map[string]string{}
	page := steps(strings.Repeat("<th>a_No_001</th>", 6000), strings.Repeat("<td>failed</td>", 6000))
	for d := range 40 {
		date := time.Date(2026, 3, 1+d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		var list strings.Builder
		for i := range 1200 {
			fmt.Fprintf(&list, "test-with-a-rather-long-name-%d %d\n", i, d)
		}
		files["this_date_test_list_"+date+".lst"] = list.String()
		for i := range 20 {
			files[fmt.Sprintf("body_test-with-a-rather-long-name-%d_UID_%d.cache", i, d)] = page
		}
	}
	b := serveBoard(t, startFPM(t), plant(t, files))
	for path, texts := range map[string][]string{
		"/":                        {"2026-03-10 to 2026-04-09", "Runs 31000", "1000 of them", "Only the newest 31 days, and the first 1,000 runs of each, are shown."},
		"/day.php?date=2026-04-09": {"Runs 1000", "0 of 500 steps passed; failed: a"},
		"/test.php?name=test-with-a-rather-long-name-7": {"Runs 31", "a 31"},
	} {
		reads(t, b.page(t, path), texts...)
	}
	if status, _ := get(t, b.url+"/day.php?date=2026-03-01"); status != 404 {
		t.Errorf("a day that is not shown answers %d", status)
	}
	b.silent(t)
}

// FuzzBoard gives the board lists, results, pages and step texts that nobody
// wrote: it must answer with a whole page of its own elements, or say that there is nothing.
func FuzzBoard(f *testing.F) {
	socket, dir := startFPM(f), f.TempDir()
	b := serveBoard(f, socket, dir)
	if err := os.Mkdir(filepath.Join(dir, "test_info"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Add("t 1\n", result("t", 1, "x"), steps("<th>a_No_001</th>", "<td><br>failed<br>3 / 4</td>"), "a\tdoes a\n")
	f.Add("t 1", "[2026-05-04 08:00:00] TESTNAME t UID 1 SEQUENCE <b> OS \xff GIT_HASH \" TEST_STAGE PASSED", "<table<table<table<th", "\t")
	f.Add("t 1\r\nt 1\n", "", "<table><table><th>GIT_REPO</th><th>MACHINES</th><td> 1  2 <table><th>&#x3c;script&#x3e;</th></table>", "GIT_REPO")
	f.Add("", "x", "</th><table></td><table><td", "[a\tb")
	f.Fuzz(func(t *testing.T, list, line, page, info string) {
		for name, body := range map[string]string{
			"this_date_test_list_" + day + ".lst": list, "open_qa_t_UID_1.cache": line, "body_t_UID_1.cache": page, "test_info/testunit_info.txt": info,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{"/", "/day.php?date=" + day, "/test.php?name=t", "/run.php?test=t&uid=1"} {
			status, body := get(t, b.url+path)
			if status != 200 && status != 404 {
				t.Errorf("%s: %d\n%s", path, status, b.log)
			}
			onlyOurs(t, path, body)
		}
		b.silent(t)
	})
}

// onlyOurs checks that a page has no element and no attribute but those the
// board writes, and that its links lead to the board.
func onlyOurs(t testing.TB, path, page string) {
	t.Helper()
	names := strings.Fields("html head meta title link body a header img p time main h1 h2 section dl div dt dd span nav ol li " +
		"table caption thead tbody tr th td figure figcaption svg desc defs pattern rect text line footer")
	attributes := strings.Fields("lang charset name content rel href type class src alt width height datetime id scope aria-label aria-hidden role " +
		"viewbox viewBox aria-labelledby patternunits patterntransform patternUnits patternTransform x y x1 x2 y1 y2")
	elements(t, page, func(name string, given map[string]string) {
		if !slices.Contains(names, name) {
			t.Errorf("%s has the element %s", path, name)
		}
		for key, value := range given {
			if !slices.Contains(attributes, key) || strings.Contains(value, "script:") {
				t.Errorf("%s: %s has %s=%q", path, name, key, value)
			}
		}
	})
	if !strings.HasSuffix(page, "</html>\n") {
		t.Errorf("%s ends with %q", path, page[max(0, len(page)-60):])
	}
	if _, err := html.Parse(strings.NewReader(page)); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}
