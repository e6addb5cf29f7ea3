package userdata

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"popup/apps"
	"popup/internal/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var formats = []Format{Script, CloudConfig, MIME}

func TestGolden(t *testing.T) {
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			got, err := Render(Spec{Plan: notice(t), Format: format, Binary: binary()})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", string(format)+".golden")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s is not what is rendered; run with -update when that is meant (-want +got):\n%s", file, diff)
			}
		})
	}
}

// What docs/userdata.md says of sizes, pinned for both architectures.
func TestPlainAppsAreSmall(t *testing.T) {
	for _, c := range []struct {
		app    apps.AppID
		format Format
		most   int
	}{
		{"notice", Script, 4096}, {"notice", CloudConfig, 4096}, {"notice", MIME, 4096},
		{"guestbook", Script, 4096}, {"guestbook", CloudConfig, 4400}, {"guestbook", MIME, 4400},
	} {
		loaded, err := apps.LoadShipped(c.app)
		if err != nil {
			t.Fatal(err)
		}
		o := Overrides{Origin: Origin{Shipped: c.app}, Until: "2026-05-31", Now: day("2026-05-01")}
		if loaded.Data != nil {
			o.Data = "https://github.com/example/village-notices#main"
		}
		plan, err := NewPlan(loaded, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckPlan(plan); err != nil {
			t.Errorf("%s: what is left out is missed: %v", c.app, err)
		}
		got, err := Render(Spec{Plan: plan, Format: c.format, Binary: binary()})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %s: %d bytes", c.app, c.format, len(got))
		if len(got) >= c.most {
			t.Errorf("%s as %s has %d bytes; docs/userdata.md says less than %d", c.app, c.format, len(got), c.most)
		}
	}
}

func TestRenderIsTheSameEachTime(t *testing.T) {
	for _, format := range formats {
		spec := Spec{Plan: notice(t), Format: format, Binary: binary(), Gzip: true}
		first, err := Render(spec)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if again, err := Render(spec); err != nil || !bytes.Equal(first, again) {
				t.Fatalf("%s differs the next time (%v)", format, err)
			}
		}
	}
}

func TestOverTheLimitNamesTheBiggestPartFirst(t *testing.T) {
	plan := notice(t)
	plan.Settings = map[string]string{"GREETING": strings.Repeat("x", 13000)}
	plan.Manifest.Scripts.Postdeploy = strings.Repeat("y", 2000)
	_, err := Render(Spec{Plan: plan, Binary: binary()})
	wantError(t, err, "at most 16384 are allowed", "gzip may make it fit")
	parts := []string{"the plan's settings 130", "the script and what frames it 3", "the plan's manifest 2", "the rest of the plan "}
	at := -1
	for _, part := range parts {
		next := strings.Index(err.Error(), part)
		if next <= at {
			t.Errorf("%q is missing or out of order in %q", part, err)
		}
		at = next
	}
	if strings.Contains(err.Error(), "host keys") {
		t.Errorf("%q names a part that is not there", err)
	}
	if _, err := Render(Spec{Plan: plan, Binary: binary(), Gzip: true}); err != nil {
		t.Errorf("gzip'ed it should fit: %v", err)
	}
}

func TestLimitIsExact(t *testing.T) {
	plan := notice(t)
	plan.Settings = map[string]string{"X": "x"}
	base, err := Render(Spec{Plan: plan, Binary: binary()})
	if err != nil {
		t.Fatal(err)
	}
	plan.Settings["X"] = strings.Repeat("x", Limit-len(base)+1)
	full, err := Render(Spec{Plan: plan, Binary: binary()})
	if err != nil || len(full) != Limit {
		t.Fatalf("%d bytes, %v; want exactly %d", len(full), err, Limit)
	}
	plan.Settings["X"] += "x"
	_, err = Render(Spec{Plan: plan, Binary: binary()})
	wantError(t, err, "it has 16385 bytes")
}

func TestBadSpecs(t *testing.T) {
	sum := map[string]string{"amd64": strings.Repeat("0", 64)}
	const fine = "https://example.org/popup"
	for _, tc := range []struct {
		name string
		spec Spec
		want string
	}{
		{"no URL", Spec{Binary: Binary{SHA256: sum}}, "must say where popup is downloaded from"},
		{"no sum", Spec{Binary: Binary{URLs: []string{fine}}}, "no SHA-256 is pinned"},
		{"short sum", Spec{Binary: Binary{URLs: []string{fine}, SHA256: map[string]string{"amd64": "00"}}}, "the SHA-256 for amd64 is not 64 hexadecimal digits"},
		{"upper-case sum", Spec{Binary: Binary{URLs: []string{fine}, SHA256: map[string]string{"amd64": strings.Repeat("A", 64)}}}, "64 hexadecimal digits, in lower case"},
		{"odd architecture", Spec{Binary: Binary{URLs: []string{fine}, SHA256: map[string]string{"vax": strings.Repeat("0", 64)}}}, `architecture "vax" is not one popup is built for`},
		{"one file for two architectures", Spec{Binary: Binary{URLs: []string{fine}, SHA256: binary().SHA256}}, "write {arch} where its name differs"},
		{"file URL", Spec{Binary: Binary{URLs: []string{"file:///popup"}, SHA256: sum}}, "is not a plain download"},
		{"no scheme", Spec{Binary: Binary{URLs: []string{"example.org/popup"}, SHA256: sum}}, "is not a plain download"},
		{"option", Spec{Binary: Binary{URLs: []string{"--output=/etc/passwd"}, SHA256: sum}}, "is not a plain download"},
		{"quote", Spec{Binary: Binary{URLs: []string{"https://example.org/'$(reboot)'"}, SHA256: sum}}, "holds a space, a quote"},
		{"newline", Spec{Binary: Binary{URLs: []string{"https://example.org/\nreboot"}, SHA256: sum}}, "holds a space, a quote"},
		{"unreadable", Spec{Binary: Binary{URLs: []string{"https://[example.org/"}, SHA256: sum}}, "a binary's URL cannot be read"},
		{"unknown format", Spec{Format: "ignition", Binary: binary()}, `unknown format "ignition"; write script, cloud-config or mime`},
		{"bytes that are no text", Spec{Plan: wire.Plan{Settings: map[string]string{"X": "\xff"}}, Binary: binary()}, "look for bytes that are not UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Render(tc.spec)
			wantError(t, err, "render user-data: ", tc.want)
		})
	}
}

func TestPasswordInDownloadIsNeverPrinted(t *testing.T) {
	b := binary()
	b.URLs = []string{"https://user:hunter2@example.org/popup-{arch}"}
	err := b.Validate()
	wantError(t, err, "example.org", "every reader of user-data would see")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q holds the password", err)
	}
}

// A plan that holds the delimiter as a line does not end its here-document.
func TestDelimiterClash(t *testing.T) {
	plan := notice(t)
	plan.Manifest.Scripts.Postdeploy = "cat <<POPUP_PLAN\nPOPUP_PLAN\nPOPUP_PLAN_2\nreboot\n"
	got, err := Render(Spec{Plan: plan, Binary: binary()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	if d := delimiter(string(text)); strings.Contains(string(text), "\n"+d+"\n") || !bytes.Contains(got, []byte("\n"+d+"\n")) {
		t.Errorf("delimiter %q is in the plan, or not in the script", d)
	}
	if d := delimiter("POPUP_PLAN\nPOPUP_PLAN_2\n"); d != "POPUP_PLAN_3" {
		t.Errorf("delimiter %q; want the first that is free, POPUP_PLAN_3", d)
	}
}

func TestBoundaryClash(t *testing.T) {
	plan := notice(t)
	plan.Manifest.Scripts.Postdeploy = "a\n--popup\n--popup-2--\nb"
	got, err := Render(Spec{Plan: plan, Format: MIME, Binary: binary()})
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, back); diff != "" {
		t.Error(diff)
	}
}

func TestShellcheck(t *testing.T) {
	for name, b := range map[string]Binary{
		"both": binary(),
		"one":  {URLs: []string{"https://a.example/popup", "http://b.example/popup?a=1&b=2"}, SHA256: map[string]string{"arm64": binary().SHA256["arm64"]}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Render(Spec{Plan: notice(t), Binary: b})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("shellcheck", "--norc", "--shell=sh", "-")
			cmd.Stdin = bytes.NewReader(got)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("shellcheck: %v\n%s", err, out)
			}
		})
	}
}
