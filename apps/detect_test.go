package apps

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const herokuApp = `{
  "name": "Photo wall",
  "description": "Photos of a day.",
  "keywords": ["photos"],
  "website": "https://example.org",
  "formation": {"web": {"quantity": 1}},
  "scripts": {"postdeploy": "rake setup"},
  "env": {
    "TITLE": "Wall",
    "LIMIT": {"value": 5, "required": false, "description": "How many."},
    "KEY": {"generator": "secret"},
    "OWNER": {"description": "Whose."},
    "PORT": "8080"
  }
}`

func TestDetect(t *testing.T) {
	php := Packages{Apt: []string{"php-fpm"}, Dnf: []string{"php-fpm"}, Apk: []string{"php83-fpm"}, Zypper: []string{"php8-fpm"}}
	for _, c := range []struct {
		name  string
		files map[string]string
		seen  string
		want  Manifest
	}{
		{
			"my_shop.2", map[string]string{"Procfile": "# processes\nrelease: ./migrate\nweb: gunicorn shop:app  \n", "index.html": "x"},
			`there is no app.yaml; detected a command app: line 3 of Procfile starts it with "gunicorn shop:app"`,
			Manifest{ID: "my-shop-2", Name: "My shop.2", Serve: Serve{Type: ServeCommand, StartCommand: "gunicorn shop:app"}},
		},
		{
			"blog", map[string]string{"index.php": "x", "index.html": "x"}, `there is no app.yaml; detected a PHP app: there is index.php`,
			Manifest{ID: "blog", Name: "Blog", Serve: Serve{Type: ServePHP}, Packages: php},
		},
		{
			"blog", map[string]string{"public/index.php": "x"}, `there is no app.yaml; detected a PHP app: there is public/index.php`,
			Manifest{ID: "blog", Name: "Blog", Serve: Serve{Type: ServePHP, PublishPath: "public"}, Packages: php},
		},
		{
			"2026", map[string]string{"index.html": "x", "docs/index.html": "x", "Procfile": "worker: x\n"},
			`there is no app.yaml; detected a site of plain files: there is index.html`,
			Manifest{ID: "app-2026", Name: "2026", Serve: Serve{Type: ServeStatic}},
		},
		{
			"Ünder", map[string]string{"docs/index.html": "x"}, `there is no app.yaml; detected a site of plain files: there is docs/index.html`,
			Manifest{ID: "nder", Name: "Ünder", Serve: Serve{Type: ServeStatic, PublishPath: "docs"}},
		},
		{
			strings.Repeat("long-", 20), map[string]string{"dist/index.html": "x"}, `there is no app.yaml; detected a site of plain files: there is dist/index.html`,
			Manifest{
				ID: "long-long-long-long-long-long-long-long", Name: "L" + strings.Repeat("ong l", 20)[:79],
				Serve: Serve{Type: ServeStatic, PublishPath: "dist"},
			},
		},
		{
			"wall", map[string]string{"Procfile": "web: ./wall\n", appJSONFile: herokuApp},
			`there is no app.yaml; detected a command app: line 1 of Procfile starts it with "./wall", described by app.json`,
			Manifest{
				ID: "wall", Name: "Photo wall", Description: "Photos of a day.", Keywords: []string{"photos"}, Website: "https://example.org",
				Serve: Serve{Type: ServeCommand, StartCommand: "./wall"}, Scripts: Scripts{Postdeploy: "rake setup"},
				Env: map[string]EnvVar{
					"TITLE": {Value: "Wall", Required: true}, "LIMIT": {Value: "5", Description: "How many."},
					"KEY": {Generator: GeneratorSecret, Required: true}, "OWNER": {Description: "Whose.", Required: true},
				},
			},
		},
	} {
		t.Run(c.seen, func(t *testing.T) {
			got, err := Load(folder(t, c.name, c.files))
			if err != nil {
				t.Fatal(err)
			}
			c.want.ManifestVersion = ManifestVersion
			if diff := cmp.Diff(c.want, got.Manifest); diff != "" {
				t.Error(diff)
			}
			if got.Detected != c.seen || got.File != "" {
				t.Errorf("detected %q in %q, want %q", got.Detected, got.File, c.seen)
			}
		})
	}
}

func TestDetectSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing": {
			map[string]string{"README": "x", "Procfile": "worker: x\n", appJSONFile: "{}"},
			`"here": has no app.yaml, and nothing else says how it is served: no Procfile with a web line, no index.php (also in public), no index.html (also in public, docs, dist) — run popup init to write an app.yaml`,
		},
		"app.json is no JSON": {
			map[string]string{"index.html": "x", appJSONFile: "{\n  \"name\": 'x'\n}"},
			`app.json:2:11: is not JSON: invalid character '\'' looking for beginning of value — mend it, or run popup init to write an app.yaml`,
		},
		"app.json has a wrong type": {
			map[string]string{"index.html": "x", appJSONFile: `{"keywords": "a"}`},
			`app.json:1:16: keywords: has the wrong type: string — mend it, or run popup init to write an app.yaml`,
		},
		"app.json has a wrong value": {
			map[string]string{"index.html": "x", appJSONFile: `{"env": {"A": {"value": {"a": 1}}}}`},
			`app.json: env.A: its value is neither a text nor a number`,
		},
		"app.json is not valid here": {
			map[string]string{"index.html": "x", appJSONFile: `{"website": "ftp://x/y", "env": {"A-B": "c"}}`},
			"app.json: env.A-B: \"A-B\" is not the name of a variable — write letters, digits and _, no digit first, like SITE_TITLE\n" +
				`app.json: website: the scheme "ftp" is not one that is fetched — use one of https http`,
		},
		"app.json is large": {
			map[string]string{"index.html": "x", appJSONFile: strings.Repeat(" ", MaxSize+1)}, `app.json: is larger than 256 KiB`,
		},
		"Procfile is large": {
			map[string]string{"Procfile": strings.Repeat(" ", MaxSize+1)}, `Procfile: is larger than 256 KiB`,
		},
		"Procfile has control characters": {
			map[string]string{"Procfile": "web: a\x1bb"}, `serve.start_command: "a\x1bb" holds a control character — write plain text`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(folder(t, "here", c.files))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzDetect holds that no Procfile or app.json makes detection panic, and that what it makes is a manifest.
func FuzzDetect(f *testing.F) {
	f.Add("web: ./x\n", herokuApp, "name")
	f.Add("", "{", "")
	f.Add("web:x", `{"env": {"A": 1, "B": null, "C": true, "D": {"value": []}}}`, "-9 ü")
	f.Add("web: a: b", `{"scripts": {"postdeploy": {"command": "x"}}, "env": null}`, "..")
	f.Fuzz(func(t *testing.T, procfile, app, name string) {
		got, err := detect(fstest.MapFS{
			"Procfile": {Data: []byte(procfile)}, appJSONFile: {Data: []byte(app)}, "index.html": {},
		}, name)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || strings.Contains(problems[0].String(), "\n") {
				t.Fatalf("not problems of one line each: %#v", err)
			}
			return
		}
		if err := got.Validate(); err != nil {
			t.Fatal(err)
		}
		text, err := draftText(got.Manifest)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	})
}
