package apps

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const plainManifest = `manifest_version: 1
id: board
name: Board
serve:
  type: static
`

// problemsOf parses text, which has to be wrong, and has one line a problem.
func problemsOf(t *testing.T, text string) []string {
	t.Helper()
	m, err := Parse("app.yaml", []byte(text))
	if err == nil {
		t.Fatalf("no problem in\n%s", text)
	}
	checkProblems(t, err)
	if diff := cmp.Diff(Manifest{}, m); diff != "" {
		t.Errorf("a manifest with problems is returned: %s", diff)
	}
	return strings.Split(err.Error(), "\n")
}

func TestParseEverything(t *testing.T) {
	m, err := Parse("app.yaml", []byte(fullManifest))
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{
		ManifestVersion: 1, ID: "full-house", Name: "Full house", Description: "Two lines\nof text.\n",
		Keywords: []string{"one", "two words"}, Website: "https://example.org/about", License: "Apache-2.0",
		Icon: "img/icon.svg", Screenshots: []string{"img/one.png"},
		Service: Service{
			Repository: "git@example.org:owner/full.git", Branch: "feature/x", RootDir: "web",
			Update: ServiceUpdate{Schedule: "CRON_TZ=Europe/Berlin 30 4 * * 1-5"},
		},
		Data: &Data{
			Source: SourceGit, Repository: "https://example.org/owner/data", Branch: "master", Schema: 3,
			Extract: "data-*.tar.gz", InSubdir: "inner/dir", Mount: "public/data",
			Sync:   DataSync{Schedule: "@every 10m", OnChange: OnChangeRestart},
			Check:  DataCheck{Command: "test -s index", Timeout: Duration(90 * time.Second)},
			Limits: DataLimits{Size: 1_500_000_000, Files: 5000, Shrink: 40},
		},
		State: &State{Mount: "public/uploads", Backup: StateBackup{Schedule: "@daily"}, Size: 4096},
		Packages: Packages{
			Apt: []string{"php-fpm", "g++", "libfoo1.2"}, Dnf: []string{"php-fpm"}, Apk: []string{"php83-fpm"}, Zypper: []string{"php8-fpm"},
		},
		BuildCommand: "make all",
		Serve:        Serve{Type: ServeCommand, StartCommand: `exec ./serve --port "$PORT"`},
		HealthCheck: HealthCheck{
			HTTPPath: "/healthz?full=1", Contains: "all: well", Status: 204, GracePeriod: Duration(2 * time.Minute),
			Interval: Duration(90 * time.Second), Timeout: Duration(3 * time.Second),
		},
		Env: map[string]EnvVar{
			"SITE_TITLE": {Description: "At the top", Required: true, Type: TypeText},
			"SEATS":      {Value: "40", Type: TypeNumber, Choices: []string{"40", "80"}},
			"OPEN":       {Value: "true", Type: TypeBoolean},
			"HOME_PAGE":  {Value: "https://example.org", Type: TypeURL},
			"MAIL":       {Value: "a@example.org", Type: TypeEmail},
			"KEY":        {Generator: GeneratorSecret},
			"TOKEN":      {Secret: true},
			"BARE":       {},
		},
		Scripts:   Scripts{Postdeploy: "./post", OnDataChange: "./change", PreBackup: "./backup", Predestroy: "./end"},
		Resources: Resources{CPUs: 0.5, Memory: 512 << 20, Disk: 2e9, Architectures: []string{"amd64", "arm64"}},
		Lifetime:  Lifetime{DefaultTTL: Duration(7 * 24 * time.Hour), MaxTTL: Duration(90 * 24 * time.Hour)},
		Metadata:  MetadataAllow,
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

func TestParseFindsEveryProblemAtOnce(t *testing.T) {
	got := problemsOf(t, `manifest_version: 1
id: Board
serve:
  type: command
  start_comand: ./run
service:
  repository: https://bob:hunter2@example.org/x
data:
  repository: -oProxyCommand=x
  mount: ../etc
  sync: {schedule: "61 * * * *"}
health_check:
  status: "200"
packages:
  apt: [--force-yes]
`)
	want := []string{
		`app.yaml:1:1: name: is missing — write what people call the app`,
		`app.yaml:2:1: id: "Board" is not an id — write lower-case letters, digits and hyphens, at most 40, a letter first`,
		`app.yaml:5:3: serve.start_comand: unknown key "start_comand" — did you mean "start_command"?`,
		`app.yaml:7:3: service.repository: carries a password, which everybody who reads it would have — leave it out and use a credentials file`,
		`app.yaml:9:3: data.repository: begins with -, which a program would take for an option — ` + repositoryHelp,
		`app.yaml:10:3: data.mount: "../etc" leads out of its folder — leave out the ..`,
		`app.yaml:11:10: data.sync.schedule: "61 * * * *" is not a schedule (end of range (61) above maximum (59): 61) — ` + scheduleHelp,
		`app.yaml:13:3: health_check.status: want a whole number, got the text "200"`,
		`app.yaml:15:9: packages.apt[0]: "--force-yes" is not the name of a package — write it like php-fpm or g++`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefusesWhatIsNoManifest(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", `app.yaml:1:1: is empty — popup init writes one to start from`},
		"only a comment": {"# nothing\n", `app.yaml:1:1: is empty — popup init writes one to start from`},
		"a list":         {"- a\n", `app.yaml:1:1: want a mapping (key: value), got a list`},
		"a text":         {"hello\n", `app.yaml:1:1: want a mapping (key: value), got the text "hello"`},
		"too large":      {strings.Repeat("#", MaxSize+1), `app.yaml: is larger than 256 KiB — data belongs into data, not into the manifest`},
		"binary":         {"id: x\n\x00\x01", `app.yaml:2:1: is not text — save the file as UTF-8, without control characters`},
		"latin 1":        {"id: caf\xe9", `app.yaml:1:1: is not text — save the file as UTF-8, without control characters`},
		"tabs":           {"serve:\n\ttype: static\n", `app.yaml:2:1: is not YAML: found character 'tab' that cannot start any token — indent with spaces, not with tabs`},
		"open quote":     {"id: \"x\n", `app.yaml:1:5: is not YAML: could not find end character of double-quoted text`},
		"two documents":  {plainManifest + "---\nid: y\n", `app.yaml:6:1: holds more than one document — remove everything from the second --- on`},
		"alias bomb":     {"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", `app.yaml:1:4: anchors and aliases (& * <<) are not read — write the value out, or put text that begins like this in quotes`},
		"tag":            {"id: !!binary aGk=\n", `app.yaml:1:5: tags (!) are not read — leave the tag out, or put text that begins with ! in quotes`},
		"directive":      {"%YAML 1.2\n---\nid: x\n", `app.yaml:1:1: directives (%) are not read — leave the line out`},
		"complex key":    {"? id\n: x\n", `app.yaml:1:1: a key marked with ? is not read — write key: value`},
		"deep brackets":  {deep, `app.yaml:1:33: is nested too deep — a manifest needs no more than 32 levels`},
		"many keys":      {strings.Repeat("a:\n", maxKeys+1), `app.yaml:4097:2: holds more than 4096 keys — data belongs into data, not into the manifest`},
		"deep dashes":    {strings.Repeat("- ", 100_000), `app.yaml:1:65: is nested too deep — a manifest needs no more than 32 levels`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([]string{c.want}, problemsOf(t, c.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestParseSaysWhatIsWrong adds lines to a manifest that is right, and expects one message.
func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ add, want string }{
		{"srvice: {}\n", `6:1: srvice: unknown key "srvice" — did you mean "service"?`},
		{"healthCheck: {}\n", `6:1: healthCheck: unknown key "healthCheck" — did you mean "health_check"?`},
		{"lifetime:\n  weeks: 2\n", `7:3: lifetime.weeks: unknown key "weeks" — known here: default_ttl max_ttl`},
		{"\"a\\nb\": 1\n", `6:1: "a\nb": unknown key "a\nb" — known here: build_command`},
		{"name: Other\n", `6:1: name: stands twice, first in line 3 — remove one`},
		{"license: 1.10\n", `6:1: license: want text, got 1.10 — put it in quotes: "1.10"`},
		{"license: true\n", `6:1: license: want text, got true — put it in quotes: "true"`},
		{"license: [MIT]\n", `6:1: license: want text, got a list`},
		{"license:\n", `6:1: license: has no value — write one, or remove the key`},
		{"license: \"a\\u202eb\"\n", `6:1: license: "a\u202eb" holds a line break or a control character — write one line of text`},
		{"keywords: board\n", `6:1: keywords: want a list, got the text "board" — write [board]`},
		{"keywords: [a, '']\n", `6:15: keywords[1]: is empty — write a value, or remove the entry`},
		{"service: https://bob:hunter2@example.org\n", `6:1: service: want a mapping (key: value), got the text "…@example.org"`},
		{"resources: {cpus: many}\n", `6:13: resources.cpus: want a number, got the text "many"`},
		{"resources: {cpus: -1}\n", `6:13: resources.cpus: is not a number of processors — write one like 1 or 0.5`},
		{"resources: {memory: 1 G}\n", `6:13: resources.memory: "1 G" does not say whether G is GB or GiB — ` + sizeHelp},
		{"resources: {architectures: [x86_64]}\n", `6:29: resources.architectures[0]: "x86_64" is not known here — write one of: amd64 arm64`},
		{"lifetime: {default_ttl: 8d, max_ttl: 7d}\n", `6:12: lifetime.default_ttl: 8d is longer than max_ttl 7d — make it shorter, or max_ttl longer`},
		{"lifetime: {default_ttl: 90}\n", `6:12: lifetime.default_ttl: "90" is not a duration — ` + durationHelp},
		{"lifetime: {max_ttl: 30s}\n", `6:12: lifetime.max_ttl: is too small — write 1m or more`},
		{"metadata: deny\n", `6:1: metadata: "deny" is not known here — write one of: allow`},
		{"website: example.org\n", `6:1: website: "example.org" is not the address of a page — write one like https://example.org`},
		{"website: javascript://x/%0aalert(1)\n", `6:1: website: the scheme "javascript" is not one that is fetched — use one of https http`},
		{"icon: /etc/passwd\n", `6:1: icon: "/etc/passwd" is absolute — write it relative to the folder it is in, like public/img`},
		{"screenshots: [../x.png]\n", `6:15: screenshots[0]: "../x.png" leads out of its folder — leave out the ..`},
		{"build_command: \"a\\u0000b\"\n", `6:1: build_command: "a\x00b" holds a control character — write plain text`},

		{"service: {branch: -x}\n", `6:11: service.branch: "-x" is not the name of a branch: it begins with -`},
		{"service: {branch: a..b}\n", `6:11: service.branch: "a..b" is not the name of a branch: it holds .. or @{, or is @`},
		{"service: {branch: 'a b'}\n", `6:11: service.branch: "a b" is not the name of a branch: it holds a space, a line break or a control character`},
		{"service: {branch: a.lock}\n", `6:11: service.branch: "a.lock" is not the name of a branch: a part of it begins with a dot or ends with .lock`},
		{"service: {branch: 'a:b'}\n", `6:11: service.branch: "a:b" is not the name of a branch: it holds one of ~ ^ : ? * [ \`},
		{"service: {root_dir: web/}\n", `6:11: service.root_dir: "web/" is not in its plain form — write "web"`},
		{"service: {root_dir: 'a\\b'}\n", `6:11: service.root_dir: "a\\b" has a backslash — separate folders with /`},
		{"service: {repository: \"https://example.org/a\\nb\"}\n", `6:11: service.repository: holds a line break or a control character — write the address on one line`},

		{"data: {mount: data}\n", `6:1: data.repository: is missing — write the address of the data's repository`},
		{"data: {repository: ./d}\n", `6:1: data.mount: is missing, and static files have no other way to show the data — write the folder the pages find it in, like data`},
		{"data: {url: sample, mount: data}\n", `6:8: data.url: goes with the sources s3, https and folder, and this is git — write repository, or the source`},
		{"data: {source: svn, mount: data}\n", `6:8: data.source: "svn" is not known here — write one of: git s3 https folder`},
		{"data: {source: https, url: 'http://example.org/d.tar', mount: data}\n", `6:23: data.url: "http://example.org/d.tar" is no https:// address, as the source says — write one, or another source`},
		{"data: {source: s3, repository: ./d, url: 's3://bucket/x/', mount: data}\n", `6:20: data.repository: goes with the source git, and this is s3 — write url, or another source`},
		{"data: {source: s3, url: 's3://bucket', mount: data}\n", ``},
		{"data: {source: s3, url: 's3://bucket/a/b/', mount: data}\n", ``},
		{"data: {source: s3, url: 's3://bucket/a/day-*', mount: data}\n", ``},
		{"data: {source: s3, url: 's3://bucket/a/day.tgz', mount: data}\n", ``},
		{"data: {source: s3, url: 's3://bucket/a/day', mount: data}\n", `6:20: data.url: "day" is neither a folder nor an archive — end it with a / for the objects below it, or name a tar.zst, tar.gz, tar or zip`},
		{"data: {source: s3, url: 's3://bucket/*/day.tar', mount: data}\n", `6:20: data.url: has a pattern in a folder — write it in the last part, where it picks archives`},
		{"data: {source: s3, url: 's3://bucket/a/[.tar', mount: data}\n", `6:20: data.url: "[.tar" is not a pattern — write one like day-*.tar.zst`},
		{"data: {source: s3, url: 's3://me:hush@bucket/a/', mount: data}\n", `6:20: data.url: carries a password, which everybody who reads it would have — leave it out and use a credentials file`},
		{"data: {source: folder, url: ../../etc, mount: data}\n", `6:24: data.url: "../../etc" leads out of its folder — leave out the ..`},
		{"data: {source: folder, url: sample, branch: x, mount: data}\n", `6:37: data.branch: goes with the source git, and this is folder — remove it`},
		{"data: {repository: ./d, mount: .}\n", `6:25: data.mount: "." is the service's own folder — name a folder in it, like data`},
		{"data: {repository: ./d, mount: a/b}\nstate: {mount: a}\n", `7:9: state.mount: "a" and data.mount "a/b" are the same place, or one is in the other — give each a folder of its own`},
		{"data: {repository: ./d, mount: a}\nstate: {mount: a/b}\n", `7:9: state.mount: "a/b" and data.mount "a" are the same place, or one is in the other — give each a folder of its own`},
		{"data: {repository: ./d, mount: a}\nstate: {mount: ab}\n", ``},
		{"data: {repository: ./d, mount: a, extract: '../x.tar'}\n", `6:35: data.extract: "../x.tar" leads out of its folder — leave out the ..`},
		{"data: {repository: ./d, mount: a, extract: 'x[.tar'}\n", `6:35: data.extract: "x[.tar" is not a path or a pattern — write one like data-*.tar.gz`},
		{"data: {repository: ./d, mount: a, in_subdir: /x}\n", `6:35: data.in_subdir: "/x" is absolute — write it relative to the folder it is in, like public/img`},
		{"data: {repository: ./d, mount: a, schema: -1}\n", `6:35: data.schema: is negative — write the newest schema the service reads, from 1`},
		{"data: {repository: ./d, mount: a, sync: {on_change: reload}}\n", `6:42: data.sync.on_change: "reload" is not known here — write one of: nothing restart`},
		{"data: {repository: ./d, mount: a, limits: {shrink: 140%}}\n", `6:44: data.limits.shrink: "140%" is more than the whole — write one from 1% to 100%, like 40%`},
		{"data: {repository: ./d, mount: a, limits: {shrink: 40}}\n", `6:44: data.limits.shrink: "40" is not a percentage — write one from 1% to 100%, like 40%`},
		{"data: {repository: ./d, mount: a, limits: {files: -1}}\n", `6:44: data.limits.files: is too small — write 1 or more`},
		{"data: {repository: ./d, mount: a, limits: {files: 99999999999999999999}}\n", `6:44: data.limits.files: want a whole number, got the text "99999999999999999999"`},

		{"state: {backup: {schedule: '* * * *'}}\n", `6:18: state.backup.schedule: "* * * *" has 4 fields and not five — ` + scheduleHelp},
		{"state: {backup: {schedule: '* * * * * *'}}\n", `6:18: state.backup.schedule: "* * * * * *" has 6 fields and not five — ` + scheduleHelp},
		{"state: {backup: {schedule: '@every 30s'}}\n", `6:18: state.backup.schedule: "@every 30s" is more often than once a minute — write @every 1m or longer`},
		{"state: {backup: {schedule: '@every soon'}}\n", `6:18: state.backup.schedule: "@every soon" is not a schedule — write @every and a time with h, m or s, like @every 10m`},
		{"state: {backup: {schedule: '@yearly'}}\n", ``},
		{"state: {backup: {schedule: 'TZ=Mars/Olympus 0 4 * * *'}}\n", `6:18: state.backup.schedule: "TZ=Mars/Olympus 0 4 * * *" names the unknown time zone "Mars/Olympus" — write one like Europe/Berlin`},
		{"state: {backup: {schedule: 'TZ=UTC'}}\n", `6:18: state.backup.schedule: "TZ=UTC" has a zone and no schedule — ` + scheduleHelp},
		{"state: {backup: {schedule: '0 0 31 2 *'}}\n", `6:18: state.backup.schedule: "0 0 31 2 *" never comes`},

		{"packages: {apt: [nano-]}\n", `6:18: packages.apt[0]: "nano-" is not the name of a package — write it like php-fpm or g++`},
		{"packages: {apt: ['a b']}\n", `6:18: packages.apt[0]: "a b" is not the name of a package — write it like php-fpm or g++`},
		{"health_check: {http_path: healthz}\n", `6:16: health_check.http_path: "healthz" is not a path of HTTP — write one that begins with one /, like /healthz`},
		{"health_check: {http_path: //evil/x}\n", `6:16: health_check.http_path: "//evil/x" is not a path of HTTP — write one that begins with one /, like /healthz`},
		{"health_check: {status: 700}\n", `6:16: health_check.status: 700 is not a status of HTTP — write one from 100 to 599; 200 is the default`},

		{"env: {1A: {}}\n", `6:7: env.1A: "1A" is not the name of a variable — write letters, digits and _, no digit first, like SITE_TITLE`},
		{"env: {PORT: {}}\n", `6:7: env.PORT: is set by popup itself — choose another name`},
		{"env: {A: {type: int}}\n", `6:11: env.A.type: "int" is not known here — write one of: text number boolean url email`},
		{"env: {A: {type: numbr}}\n", `6:11: env.A.type: "numbr" is not known here — did you mean "number"?`},
		{"env: {A: {type: number, value: lots}}\n", `6:25: env.A.value: "lots" is not a number`},
		{"env: {A: {type: boolean, value: yes}}\n", `6:26: env.A.value: "yes" is neither true nor false`},
		{"env: {A: {value: c, choices: [a, b]}}\n", `6:11: env.A.value: "c" is not one of its choices: a, b`},
		{"env: {A: {type: number, choices: [1, b]}}\n", `6:38: env.A.choices[1]: "b" is not a number`},
		{"env: {A: {secret: true, value: hunter2}}\n", `6:25: env.A.value: is the value of a secret, and everybody can read it here — remove it; write generator: secret, or required: true`},
		{"env: {A: {generator: uuid}}\n", `6:11: env.A.generator: "uuid" is not known here — write one of: secret`},
		{"env: {A: {generator: secret, value: x}}\n", `6:30: env.A.value: stands beside a generator — remove one of the two`},
		{"env: {A: {generator: secret, type: number}}\n", `6:11: env.A.generator: makes text that is neither a choice nor a "number" — remove it, or the type and the choices`},
		{"env: {A: {required: yes}}\n", `6:11: env.A.required: want true or false, got the text "yes"`},
	} {
		t.Run(c.add, func(t *testing.T) {
			if c.want == "" {
				if _, err := Parse("app.yaml", []byte(plainManifest+c.add)); err != nil {
					t.Error(err)
				}
				return
			}
			got := strings.Join(problemsOf(t, plainManifest+c.add), "\n")
			want := "app.yaml:" + c.want
			if strings.HasSuffix(want, "known here: build_command") { // the whole list is long
				got = got[:min(len(want), len(got))]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a password is printed")
			}
		})
	}
}

func TestParseServe(t *testing.T) {
	for _, c := range []struct{ serve, want string }{
		{"{}", `4:1: serve.type: is missing — write one of: static php command`},
		{"static", `4:1: serve: want a mapping (key: value), got the text "static"`},
		{"{type: pph}", `4:9: serve.type: "pph" is not known here — did you mean "php"?`},
		{"{type: command}", `4:1: serve.start_command: is missing — write what starts the app; it listens on 127.0.0.1:$PORT`},
		{"{type: command, start_command: x, index: a.html}", `4:42: serve.index: goes only with serve.type static and php — remove it, or change serve.type`},
		{"{type: php, start_command: x}", `4:20: serve.start_command: goes only with serve.type command — remove it, or change serve.type`},
		{"{type: static, publish_path: ../x}", `4:23: serve.publish_path: "../x" leads out of its folder — leave out the ..`},
	} {
		t.Run(c.serve, func(t *testing.T) {
			got := problemsOf(t, "manifest_version: 1\nid: x\nname: X\nserve: "+c.serve+"\n")
			if diff := cmp.Diff([]string{"app.yaml:" + c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseTakesEmptyForNothing(t *testing.T) {
	got, err := Parse("app.yaml", []byte(plainManifest+"keywords: []\nenv: {}\nservice: {}\npackages: {apt: []}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("app.yaml", []byte(plainManifest))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValidateOfAManifestBuiltInCode(t *testing.T) {
	m := Manifest{ManifestVersion: 1, ID: "x", Name: "X\xff", BuildCommand: "a\xff", Serve: Serve{Type: ServeStatic}, Resources: Resources{Memory: -1}}
	err := m.Validate()
	want := "build_command: is not UTF-8 — write plain text\nname: is not UTF-8 — write plain text\nresources.memory: is too small — write 1 MB or more"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	m.Name, m.BuildCommand, m.Resources = "X", "", Resources{}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
}

func TestParseListsAHundredProblems(t *testing.T) {
	got := problemsOf(t, plainManifest+"keywords: ["+strings.Repeat("'',", 150)+"x]\n")
	if len(got) != 101 || got[100] != "app.yaml: 50 more problems are not shown" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
}

func TestParseReadsWindowsLines(t *testing.T) {
	m, err := Parse("app.yaml", []byte("\ufeff"+strings.ReplaceAll(fullManifest, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("app.yaml", []byte(fullManifest))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

// TestParseIsQuick holds that no text within the limit takes long, however it is made up.
func TestParseIsQuick(t *testing.T) {
	for name, text := range map[string]string{
		"keys":    strings.Repeat("abc:\n", MaxSize/5),
		"fewer":   strings.Repeat("abc:\n", maxKeys),
		"items":   "keywords:\n" + strings.Repeat("- x\n", MaxSize/4-10),
		"flow":    "keywords: [" + strings.Repeat("x,", MaxSize/2-10) + "]",
		"indent":  indented(700),
		"quotes":  strings.Repeat("'':", MaxSize/3),
		"literal": "description: |\n" + strings.Repeat("  x\n", MaxSize/4-10),
		"colons":  strings.Repeat("a:", MaxSize/2),
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() { _, err := Parse("app.yaml", []byte(text)); done <- err }()
			select {
			case err := <-done:
				var problems Problems
				if !errors.As(err, &problems) {
					t.Errorf("want problems, got %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("not read in 20s")
			}
		})
	}
}

// indented is a mapping in a mapping, n deep.
func indented(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
