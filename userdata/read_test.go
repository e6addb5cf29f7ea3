package userdata

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"popup/internal/wire"
)

// awkward are texts that readers of YAML, shells and mailers trip over.
var awkward = map[string]string{
	"EMPTY":     "",
	"LINES":     "one\ntwo\n\n  three\n",
	"LEADING":   "  two spaces first\nthen none",
	"BLANKS":    "\n\n\nend\n\n\n",
	"TRAILING":  "space at the end \n \n",
	"TAB":       "a\tb\n\tc",
	"CR":        "a\rb\r\nc\r\n",
	"CONTROL":   "\x00\x01\x07\x1b[31m\x7f",
	"SEPARATOR": "a\u0085b\u2028c\u2029d\ufeffe",
	"UMLAUT":    "Flohmarkt Zürich, 10 €",
	"EMOJI":     "🎈 party\n🎉",
	"HIDDEN":    "a\U000e0001b\u200b",
	"QUOTES":    `'"` + "`" + `$HOME $(reboot) \n \`,
	"NUMBER":    "0x1F",
	"BOOL":      "no",
	"NULL":      "~",
	"DATE":      "2026-05-31",
	"COLON":     "a: b # c",
	"DASH":      "- a",
	"BRACES":    "{a: [b]}",
	"PERCENT":   "%YAML 1.2",
	"DOCUMENT":  "---\na\n...\n",
	"TAG":       "!!binary &a *a",
	"DELIMITER": "\nPOPUP_PLAN\nreboot\n",
	"BOUNDARY":  "--popup--\n",
	"LONG":      strings.Repeat("a long line of words ", 60),
}

func TestReadsBackWhatWasRendered(t *testing.T) {
	plans := map[string]wire.Plan{"plain": notice(t)}
	all := notice(t)
	all.Settings = awkward
	plans["all awkward"] = all
	for name, value := range awkward {
		plan := notice(t)
		plan.Settings = map[string]string{"VALUE": value}
		plan.Manifest.Scripts.Postdeploy = value
		plans[name] = plan
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			for _, format := range formats {
				for _, gz := range []bool{false, true} {
					text, err := Render(Spec{Plan: plan, Format: format, Binary: binary(), Gzip: gz})
					if err != nil {
						t.Fatalf("%s: %v", format, err)
					}
					back, err := Read(text)
					if err != nil {
						t.Fatalf("%s: %v", format, err)
					}
					if diff := cmp.Diff(plan, back); diff != "" {
						t.Errorf("%s, gzip %t (-was +is):\n%s", format, gz, diff)
					}
				}
			}
		})
	}
}

// What cloud-init is given must be printable, and ASCII inside a multipart.
func TestRenderedIsPlainText(t *testing.T) {
	plan := notice(t)
	plan.Settings = awkward
	for _, format := range formats {
		text, err := Render(Spec{Plan: plan, Format: format, Binary: binary()})
		if err != nil {
			t.Fatal(err)
		}
		if !isPlain(bytes.TrimRight(text, "\n")) {
			t.Errorf("%s holds characters that a reader may change", format)
		}
		if format == MIME && bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Error("the multipart holds characters that are not ASCII")
		}
	}
}

func TestReadableWherePossible(t *testing.T) {
	plan := notice(t)
	plan.Settings = map[string]string{"GREETING": "Grüezi\nmitenand\n"}
	text, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "  GREETING: |\n    Grüezi\n    mitenand\n") {
		t.Errorf("not a block of text:\n%s", text)
	}
}

func TestReadPassesOverOtherParts(t *testing.T) {
	plan := notice(t)
	script, err := Render(Spec{Plan: plan, Binary: binary()})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := "Content-Type: multipart/mixed; boundary=x\r\nMIME-Version: 1.0\r\n\r\n" +
		"--x\r\nContent-Type: text/cloud-config\r\n\r\n#cloud-config\r\npackages: [git]\r\n" +
		"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
		"--x\r\nContent-Type: text/x-shellscript\r\n\r\n#!/bin/sh\r\necho hello\r\n" +
		"--x\r\nContent-Type: text/x-shellscript\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(script) +
		"\r\n--x--\r\n"
	back, err := Read([]byte(wrapped))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, back); diff != "" {
		t.Error(diff)
	}
}

func TestReadIgnoresFieldsItDoesNotKnow(t *testing.T) {
	plan, err := DecodePlan([]byte("plan_version: 1\nfuture: {a: [1]}\nmanifest: {id: notice, shiny: true}\nservice: {url: https://example.org/a, mirror: b}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Manifest.ID != "notice" || plan.Service.URL != "https://example.org/a" {
		t.Errorf("read %+v", plan)
	}
}

func TestReadBadInput(t *testing.T) {
	whole, err := Render(Spec{Plan: notice(t), Binary: binary()})
	if err != nil {
		t.Fatal(err)
	}
	var zipped, bomb bytes.Buffer
	for b, text := range map[*bytes.Buffer][]byte{&zipped: whole, &bomb: bytes.Repeat([]byte("#"), maxRead+1)} {
		w := gzip.NewWriter(b)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "begins with neither"},
		{"something else", "hello", "begins with neither"},
		{"another script", "#!/bin/sh\necho hello\n", "no plan of popup's is in it"},
		{"another cloud-config", "#cloud-config\npackages: [git]\n", "no plan of popup's is in it"},
		{"nested deep", "#cloud-config\nwrite_files: " + strings.Repeat("[", 200_000), "line 2: it is nested deeper than 32 levels"},
		{"dashes", "#cloud-config\nwrite_files:\n" + strings.Repeat("- ", 100_000), "line 3: it is nested deeper than 32 levels"},
		{"many keys", "#cloud-config\n" + strings.Repeat("a:\n", 80_000), "more than 4096 entries"},
		{"alias", "#cloud-config\na: &a [b]\nwrite_files: *a\n", "line 2: anchors, aliases"},
		{"broken cloud-config", "#cloud-config\nwrite_files: [\n", "read cloud-config: "},
		{"cut short", string(whole[:2500]), "it was cut short"},
		{"cut gzip", zipped.String()[:800], "unpack gzip: "},
		{"a bomb", bomb.String(), "more than 262144 bytes"},
		{"no multipart", "MIME-Version: 1.0\nContent-Type: text/plain\n\nx", "not multipart"},
		{"empty multipart", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x--\n", "no plan of popup's"},
		{"cut multipart", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhel", "read MIME part: "},
		{"no version", "#cloud-config\nwrite_files: [{path: /etc/popup/config.yaml, content: 'service: {url: a}'}]\n", "plan_version is missing"},
		{"newer version", "#cloud-config\nwrite_files: [{path: /etc/popup/config.yaml, content: 'plan_version: 2'}]\n", "plan_version is 2 and this popup reads 1; use a newer popup"},
		{"wrong type", "#cloud-config\nwrite_files: [{path: /etc/popup/config.yaml, content: 'plan_version: [1]'}]\n", "decode plan: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read([]byte(tc.text))
			wantError(t, err, "read user-data: ", tc.want)
		})
	}
}

// Whatever is read comes back equal once rendered, and nothing panics.
func FuzzRead(f *testing.F) {
	for _, format := range formats {
		text, err := os.ReadFile(filepath.Join("testdata", string(format)+".golden"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("#cloud-config\nwrite_files:\n- {path: /etc/popup/config.yaml, content: 'plan_version: 1'}\n"))
	f.Add([]byte("#!/bin/sh\nput \"$etc/config.yaml\" 600 <<'E'\nplan_version: 1\nsettings: {a: \"\\0\"}\nE\n"))
	f.Add([]byte("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\nIyEvYmlu\n--x--\n"))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := Read(data)
		if err != nil {
			return
		}
		text, err := EncodePlan(plan)
		if err != nil {
			return // a number that JSON has no word for, or bytes that are no text
		}
		again, err := DecodePlan(text)
		if err != nil {
			t.Fatalf("%v, in\n%s", err, text)
		}
		twice, err := EncodePlan(again)
		if err != nil || !bytes.Equal(text, twice) {
			t.Fatalf("differs the second time (%v):\n%s\n%s", err, text, twice)
		}
	})
}

// Every text comes back as it was, by every way.
func FuzzRoundTrip(f *testing.F) {
	for _, value := range awkward {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !utf8.ValidString(value) || len(value) > 2000 {
			return
		}
		plan := wire.Plan{Version: 1, Settings: map[string]string{"VALUE": value}}
		for _, format := range formats {
			text, err := Render(Spec{Plan: plan, Format: format, Binary: binary()})
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			back, err := Read(text)
			if err != nil || back.Settings["VALUE"] != value {
				t.Fatalf("%s: %q came back as %q (%v) in\n%s", format, value, back.Settings["VALUE"], err, text)
			}
		}
	})
}
