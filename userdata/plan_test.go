package userdata

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popup/apps"
	"popup/internal/wire"
)

// day is the first instant of a day, in UTC.
func day(s string) time.Time {
	t, err := time.Parse(dateForm, s)
	if err != nil {
		panic(err)
	}
	return t
}

// board is a manifest with everything that a plan decides on.
func board() apps.Manifest {
	return apps.Manifest{
		ManifestVersion: apps.ManifestVersion, ID: "board", Name: "Board", Description: "for a catalogue",
		Keywords: []string{"x"}, Icon: "icon.svg", Screenshots: []string{"a.png"},
		Serve: apps.Serve{Type: apps.ServeStatic},
		Data:  &apps.Data{Repository: "https://example.org/days", Branch: "main"},
		Env: map[string]apps.EnvVar{
			"TITLE": {Value: "Board", Description: "What stands at the top."},
			"TOKEN": {Secret: true},
		},
	}
}

// with is board changed.
func with(change func(*apps.Manifest)) apps.Loaded {
	m := board()
	change(&m)
	return apps.Loaded{Manifest: m, File: "app.yaml"}
}

func TestSources(t *testing.T) {
	const repo, fork = "https://example.org/board", "https://example.org/fork.git"
	plain := apps.Loaded{Manifest: board(), File: "app.yaml"}
	named := with(func(m *apps.Manifest) { m.Service = apps.Service{Repository: repo, Branch: "stable"} })
	beside := with(func(m *apps.Manifest) { m.Data = &apps.Data{Source: apps.SourceFolder, URL: "sample"} })
	shipped := beside
	shipped.Shipped = "board"
	catalogued := named // the catalogue's manifest for a repository without an app.yaml
	catalogued.Shipped, catalogued.Detected = "board", "the catalogue has it"
	detected := plain
	detected.Detected = "index.html"
	days := &wire.Source{URL: "https://example.org/days", Ref: "main"}

	for _, tc := range []struct {
		name         string
		loaded       apps.Loaded
		o            Overrides
		service      wire.Source
		data         *wire.Source
		manifestFrom string
	}{
		{"repository with its own app.yaml", plain, Overrides{Origin: Origin{Repository: repo}}, wire.Source{URL: repo}, days, "service"},
		{"at a ref", plain, Overrides{Origin: Origin{Repository: repo + "#v2"}}, wire.Source{URL: repo, Ref: "v2"}, days, "service"},
		{"names itself and a branch", named, Overrides{Origin: Origin{Repository: repo}}, wire.Source{URL: repo, Ref: "stable"}, days, "service"},
		{"a ref given is above the branch", named, Overrides{Origin: Origin{Repository: repo + "#v2"}}, wire.Source{URL: repo, Ref: "v2"}, days, "service"},
		{"a fork that names its origin", named, Overrides{Origin: Origin{Repository: fork}}, wire.Source{URL: repo, Ref: "stable"}, days, ""},
		{"a fork given", named, Overrides{Origin: Origin{Repository: repo}, Service: fork + "#fix"}, wire.Source{URL: fork, Ref: "fix"}, days, ""},
		{"SSH", named, Overrides{Service: "git@example.org:me/fork.git"}, wire.Source{URL: "git@example.org:me/fork.git"}, days, ""},
		{"data given", plain, Overrides{Origin: Origin{Repository: repo}, Data: fork + "#day-2"}, wire.Source{URL: repo}, &wire.Source{URL: fork, Ref: "day-2"}, "service"},
		{"detected", detected, Overrides{Origin: Origin{Repository: repo}}, wire.Source{URL: repo}, days, ""},
		{"catalogue's manifest for a repository", catalogued, Overrides{Origin: Origin{Repository: repo + "#v2"}}, wire.Source{URL: repo, Ref: "v2"}, days, ""},
		{"shipped", shipped, Overrides{Origin: Origin{Shipped: "board"}}, wire.Source{Kind: "folder", URL: "catalogue:board"}, &wire.Source{Kind: "folder", URL: "catalogue:board/sample"}, ""},
		{"shipped with a fork", shipped, Overrides{Origin: Origin{Shipped: "board"}, Service: fork}, wire.Source{URL: fork}, &wire.Source{Kind: "folder", URL: "catalogue:board/sample"}, ""},
		{"shipped data given by address", plain, Overrides{Origin: Origin{Repository: repo}, Data: "catalogue:board/sample"}, wire.Source{URL: repo}, &wire.Source{Kind: "folder", URL: "catalogue:board/sample"}, "service"},
		{"folder, here", beside, Overrides{Origin: Origin{Folder: "/src/board"}, Here: true}, wire.Source{Kind: "folder", URL: "/src/board"}, &wire.Source{Kind: "folder", URL: "/src/board/sample"}, "service"},
		{"folder with a fork", plain, Overrides{Origin: Origin{Folder: "/src/board"}, Service: fork}, wire.Source{URL: fork}, days, ""},
		{"folders given, here", plain, Overrides{Origin: Origin{Folder: "/src/board"}, Here: true, Service: "/src/fork#x", Data: "/src/days"}, wire.Source{URL: "/src/fork", Ref: "x"}, &wire.Source{URL: "/src/days"}, ""},
		{"repositories beside the manifest, here", with(func(m *apps.Manifest) { m.Service.Repository, m.Data.Repository = "../code", "./days" }),
			Overrides{Origin: Origin{Folder: "/src/board"}, Here: true}, wire.Source{URL: "/src/code"}, &wire.Source{URL: "/src/board/days", Ref: "main"}, ""},
		{"a bucket", with(func(m *apps.Manifest) { m.Data = &apps.Data{Source: apps.SourceS3, URL: "s3://days/"} }), Overrides{Origin: Origin{Repository: repo}},
			wire.Source{URL: repo}, &wire.Source{Kind: "s3", URL: "s3://days/"}, "service"},
		{"an archive", with(func(m *apps.Manifest) { m.Data = &apps.Data{Source: apps.SourceHTTPS, URL: "https://example.org/x"} }), Overrides{Origin: Origin{Repository: repo}},
			wire.Source{URL: repo}, &wire.Source{Kind: "https", URL: "https://example.org/x"}, "service"},
		{"a bucket given", plain, Overrides{Origin: Origin{Repository: repo}, Data: "s3://days/x-*.zip"}, wire.Source{URL: repo}, &wire.Source{Kind: "s3", URL: "s3://days/x-*.zip"}, "service"},
		{"an archive given", plain, Overrides{Origin: Origin{Repository: repo}, Data: "http://example.org/x.tar.zst"}, wire.Source{URL: repo}, &wire.Source{Kind: "https", URL: "http://example.org/x.tar.zst"}, "service"},
		{"no data", with(func(m *apps.Manifest) { m.Data = nil }), Overrides{Origin: Origin{Repository: repo}}, wire.Source{URL: repo}, nil, "service"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := NewPlan(tc.loaded, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.service, plan.Service); diff != "" {
				t.Errorf("service (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.data, plan.Data); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			if plan.ManifestFrom != tc.manifestFrom {
				t.Errorf("manifest_from %q, want %q", plan.ManifestFrom, tc.manifestFrom)
			}
		})
	}
}

func TestPlanRefusals(t *testing.T) {
	origin := Origin{Repository: "https://example.org/board"}
	folder := Origin{Folder: "/src/board"}
	plain := apps.Loaded{Manifest: board(), File: "app.yaml"}
	for _, tc := range []struct {
		name   string
		loaded apps.Loaded
		o      Overrides
		want   string
	}{
		{"folder for another machine", plain, Overrides{Origin: folder}, "the code is in the folder /src/board, which another machine cannot read; push it to a repository and give that with --service"},
		{"nowhere", plain, Overrides{}, "app.yaml names no service.repository; give the code with --service"},
		{"data folder of a repository", with(func(m *apps.Manifest) { m.Data = &apps.Data{Source: apps.SourceFolder, URL: "sample"} }),
			Overrides{Origin: origin}, "the data is the folder sample beside app.yaml, which another machine cannot read"},
		{"folder given for another machine", plain, Overrides{Origin: origin, Data: "./days"}, "--data: ./days is a folder of this machine, which another cannot read"},
		{"relative folder given here", plain, Overrides{Origin: folder, Here: true, Data: "./days"}, "--data: ./days is not an absolute path"},
		{"repository folder for another machine", with(func(m *apps.Manifest) { m.Service.Repository = "../code" }),
			Overrides{Origin: folder}, "service.repository is ../code, a folder that another machine cannot read"},
		{"no repository of data", with(func(m *apps.Manifest) { m.Data.Repository = "" }), Overrides{Origin: origin}, "names no data.repository; give the data with --data"},
		{"data for an app without", with(func(m *apps.Manifest) { m.Data = nil }), Overrides{Origin: origin, Data: "https://example.org/days"}, "this app shows no data"},
		{"a file of a bucket", plain, Overrides{Origin: origin, Data: "s3://days/x"}, `--data: "x" is neither a folder nor an archive`},
		{"an archive with a password", plain, Overrides{Origin: origin, Data: "https://me:hush@example.org/x.zip"}, "--data: carries a password"},
		{"option for a URL", plain, Overrides{Service: "--upload-pack=reboot"}, "--service: begins with -"},
		{"option for a ref", plain, Overrides{Service: "https://example.org/x#--upload-pack=reboot"}, `--service: "--upload-pack=reboot" after # is not a branch, a tag or a commit`},
		{"newline", plain, Overrides{Service: "https://example.org/\nx"}, "--service: holds a line break"},
		{"unknown setting", plain, Overrides{Origin: origin, Settings: map[string]string{"TITEL": "x"}}, `"TITLE"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewPlan(tc.loaded, tc.o)
			wantError(t, err, tc.want)
		})
	}
}

func TestPlanRefusesAllAtOnce(t *testing.T) {
	_, err := NewPlan(apps.Loaded{Manifest: board()}, Overrides{
		Service: "-x", Data: "./days", Until: "soon", Now: day("2026-05-01"), Settings: map[string]string{"NOPE": "x"},
	})
	wantError(t, err, "--service: ", "--data: ", `the end "soon"`, "NOPE")
	var problems apps.Problems
	if !errors.As(err, &problems) {
		t.Errorf("%v holds no apps.Problems", err)
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	_, err := NewPlan(apps.Loaded{Manifest: board()}, Overrides{Service: "https://me:hunter2@example.org/x", Data: "https://me:hunter2@example.org/y"})
	wantError(t, err, "--service: ", "--data: ")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q holds the password", err)
	}
}

func TestPlanCarriesOnlyWhatWasGiven(t *testing.T) {
	given := map[string]string{"TOKEN": "t"}
	loaded := with(func(m *apps.Manifest) {
		m.Resources.CPUs, m.Lifetime.MaxTTL = 1, apps.Duration(aDay)
	})
	plan, err := NewPlan(loaded, Overrides{Origin: Origin{Repository: "https://example.org/board"}, Settings: given, Listen: ":8080"})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(plan.Settings, map[string]string{"TOKEN": "t"}) {
		t.Errorf("settings %v; want what was given, without defaults", plan.Settings)
	}
	given["TOKEN"] = "changed later"
	if plan.Settings["TOKEN"] != "t" {
		t.Error("the plan shares the caller's map")
	}
	if m := plan.Manifest; m.Description != "" || m.Keywords != nil || m.Icon != "" || m.Screenshots != nil || m.Name != "Board" {
		t.Errorf("manifest %+v; want it without what a catalogue shows", m)
	}
	if m := plan.Manifest; m.Resources.CPUs != 0 || m.Lifetime.MaxTTL != 0 || m.Env["TITLE"].Description != "" || m.Env["TITLE"].Value != "Board" {
		t.Errorf("manifest %+v; want it without what is decided, and without words about settings", m)
	}
	if loaded.Env["TITLE"].Description == "" || loaded.Lifetime.MaxTTL == 0 {
		t.Errorf("the manifest itself was changed: %+v", loaded)
	}
	if plan.Serve.Listen != ":8080" || plan.Version != wire.PlanVersion {
		t.Errorf("plan %+v", plan)
	}
}

func TestNotes(t *testing.T) {
	loaded := with(func(m *apps.Manifest) { m.Service.Repository = "https://example.org/board" })
	o := Overrides{
		Origin: Origin{Repository: "https://example.org/fork#main"}, Until: "7d", Now: day("2026-05-01"),
		Settings: map[string]string{"TOKEN": "hunter2", "TITLE": "x"},
	}
	plan, err := NewPlan(loaded, o)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Detected = "index.html is served as it is"
	notes := Notes(loaded, o, plan)
	want := []string{
		"index.html is served as it is",
		"its app.yaml names the service https://example.org/board, so that is launched and not https://example.org/fork; give --service to launch the latter",
		"it ends 2026-05-08T00:00 (UTC) and then turns the machine off",
		"settings marked secret are readable by whoever can read this machine's user-data: TOKEN",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
	quiet := Overrides{Origin: Origin{Repository: "https://example.org/board"}}
	if plan, err = NewPlan(with(func(*apps.Manifest) {}), quiet); err != nil {
		t.Fatal(err)
	}
	if notes := Notes(with(func(*apps.Manifest) {}), quiet, plan); len(notes) != 0 {
		t.Errorf("notes %q about nothing", notes)
	}
}

// TestPlanForAFleet carries how many there are, and where they are watched.
func TestPlanForAFleet(t *testing.T) {
	loaded := apps.Loaded{Manifest: apps.Manifest{ManifestVersion: 1, ID: "fair", Name: "Fair", Service: apps.Service{Repository: "https://example.org/fair"}}}
	plan, err := NewPlan(loaded, Overrides{Fleet: 200, Metrics: "127.0.0.1:9100"})
	if err != nil || plan.Fleet != 200 || plan.Serve.Metrics != "127.0.0.1:9100" {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
	for _, fleet := range []int{-1, wire.MaxFleet + 1} {
		if _, err := NewPlan(loaded, Overrides{Fleet: fleet}); err == nil || !strings.Contains(err.Error(), "instances is not possible") {
			t.Errorf("a fleet of %d: %v", fleet, err)
		}
		plan.Fleet = fleet
		if err := CheckPlan(plan); err == nil || !strings.Contains(err.Error(), "instances is not possible") {
			t.Errorf("a plan for %d: %v", fleet, err)
		}
	}
}
