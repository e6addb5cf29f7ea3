package apps

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// What may stand in the fields that take one of a few words.
var (
	serveTypes    = []string{ServeStatic, ServePHP, ServeCommand}
	dataSources   = []string{SourceGit, SourceS3, SourceHTTPS, SourceFolder}
	onChanges     = []string{OnChangeNothing, OnChangeRestart}
	settingTypes  = []string{TypeText, TypeNumber, TypeBoolean, TypeURL, TypeEmail}
	generators    = []string{GeneratorSecret}
	metadataWords = []string{MetadataAllow}
	architectures = []string{"amd64", "arm64"}
)

// MetadataAllow opens the instance metadata service to the app.
const MetadataAllow = "allow"

// ownNames are the variables popup itself sets for the app.
var ownNames = []string{"PATH", "LANG", "HOME", "TMPDIR", "HOST", "PORT", "DATA_DIR", "STATE_DIR"}

// Validate checks a manifest as it was written, without its defaults. The error
// is Problems, without positions: Parse adds them.
func (m Manifest) Validate() error { return m.problems().err() }

func (m Manifest) problems() Problems {
	c := &checker{}
	c.about(m)
	c.service(m.Service)
	if m.Data != nil {
		c.data(*m.Data, m.Serve.Type)
	}
	if m.State != nil {
		c.state(*m.State, m.Data)
	}
	c.packages(m.Packages)
	c.command("build_command", m.BuildCommand)
	c.serve(m.Serve)
	c.health(m.HealthCheck)
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		c.setting(name, m.Env[name])
	}
	c.command("scripts.postdeploy", m.Scripts.Postdeploy)
	c.command("scripts.on_data_change", m.Scripts.OnDataChange)
	c.command("scripts.pre_backup", m.Scripts.PreBackup)
	c.command("scripts.predestroy", m.Scripts.Predestroy)
	c.resources(m.Resources)
	c.lifetime(m.Lifetime)
	c.oneOf("metadata", m.Metadata, metadataWords)
	return c.problems
}

// A checker gathers problems. Its methods take an empty value for one that was
// not written, and leave it alone.
type checker struct{ problems Problems }

func (c *checker) bad(field, message, hint string) { c.problems.add(field, message, hint) }

// is notes what a check says of a value that was written.
func (c *checker) is(field, value string, check func(string) error) {
	if value == "" {
		return
	}
	if err := check(value); err != nil {
		c.problems.addErr(field, err)
	}
}

func (c *checker) required(field, value, hint string) {
	if strings.TrimSpace(value) == "" {
		c.bad(field, "is missing", hint)
	}
}

// entry checks that an entry of a list says something.
func (c *checker) entry(field, value string) {
	if value == "" {
		c.bad(field, "is empty", "write a value, or remove the entry")
	}
}

func (c *checker) line(field, value string, most int) {
	c.is(field, value, func(s string) error { return checkLine(s, most) })
}

func (c *checker) command(field, value string) {
	c.is(field, value, func(s string) error { return checkText(s, 8192) })
}

func (c *checker) oneOf(field, value string, words []string) {
	if value != "" && !slices.Contains(words, value) {
		hint := "write one of: " + strings.Join(words, " ")
		if near := Nearest(value, words); near != "" && len(words) > 1 {
			hint = didYouMean(value, words)
		}
		c.bad(field, quote(value)+" is not known here", hint)
	}
}

// atLeast checks a number, which is zero when it was not written.
func (c *checker) atLeast(field string, value, least int64, shown string) {
	if value != 0 && value < least {
		c.bad(field, "is too small", "write "+shown+" or more")
	}
}

func (c *checker) about(m Manifest) {
	switch m.ManifestVersion {
	case ManifestVersion:
	case 0:
		c.bad("manifest_version", "is missing", "write manifest_version: 1")
	default:
		c.bad("manifest_version", fmt.Sprintf("%d is not a version this popup reads", m.ManifestVersion), "write 1, or use a newer popup")
	}
	c.required("id", string(m.ID), "write one like notice-board")
	c.is("id", string(m.ID), func(s string) error { return AppID(s).Validate() })
	c.required("name", m.Name, "write what people call the app")
	c.line("name", m.Name, 80)
	c.is("description", m.Description, func(s string) error { return checkText(s, 2000) })
	for i, keyword := range m.Keywords {
		field := fmt.Sprintf("keywords[%d]", i)
		c.entry(field, keyword)
		c.line(field, keyword, 40)
	}
	c.is("website", m.Website, checkWebsite)
	c.line("license", m.License, 80)
	c.is("icon", m.Icon, checkPath)
	for i, shot := range m.Screenshots {
		field := fmt.Sprintf("screenshots[%d]", i)
		c.entry(field, shot)
		c.is(field, shot, checkPath)
	}
}

func (c *checker) service(s Service) {
	c.is("service.repository", s.Repository, CheckRepository)
	c.is("service.branch", s.Branch, CheckBranch)
	c.is("service.root_dir", s.RootDir, checkPath)
	c.is("service.update.schedule", s.Update.Schedule, checkSchedule)
}

func (c *checker) serve(s Serve) {
	c.required("serve.type", s.Type, "write one of: "+strings.Join(serveTypes, " "))
	c.oneOf("serve.type", s.Type, serveTypes)
	c.is("serve.publish_path", s.PublishPath, checkPath)
	c.is("serve.index", s.Index, checkPath)
	c.command("serve.start_command", s.StartCommand)
	switch s.Type {
	case ServeCommand:
		c.required("serve.start_command", s.StartCommand, "write what starts the app; it listens on 127.0.0.1:$PORT")
		c.only("serve.publish_path", s.PublishPath, "static and php")
		c.only("serve.index", s.Index, "static and php")
	case ServeStatic, ServePHP:
		c.only("serve.start_command", s.StartCommand, "command")
	}
}

// only refuses a field that goes with other types than the one that was written.
func (c *checker) only(field, value, types string) {
	if value != "" {
		c.bad(field, "goes only with serve.type "+types, "remove it, or change serve.type")
	}
}

func (c *checker) health(h HealthCheck) {
	c.is("health_check.http_path", h.HTTPPath, checkHTTPPath)
	c.is("health_check.contains", h.Contains, func(s string) error { return checkText(s, 1000) })
	if h.Status != 0 && (h.Status < 100 || h.Status > 599) {
		c.bad("health_check.status", fmt.Sprintf("%d is not a status of HTTP", h.Status), "write one from 100 to 599; 200 is the default")
	}
	c.atLeast("health_check.grace_period", int64(h.GracePeriod), 0, "1s")
	c.atLeast("health_check.interval", int64(h.Interval), 0, "1s")
	c.atLeast("health_check.timeout", int64(h.Timeout), 0, "1s")
}

func checkHTTPPath(p string) error {
	if err := checkLine(p, 500); err != nil {
		return err
	}
	u, err := url.ParseRequestURI(p)
	if err != nil || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || u.Host != "" || strings.Contains(p, " ") {
		return flaw{quote(p) + " is not a path of HTTP", "write one that begins with one /, like /healthz"}
	}
	return nil
}

func (c *checker) packages(p Packages) {
	for manager, names := range map[string][]string{"apt": p.Apt, "dnf": p.Dnf, "apk": p.Apk, "zypper": p.Zypper} {
		for i, name := range names {
			field := fmt.Sprintf("packages.%s[%d]", manager, i)
			c.entry(field, name)
			c.is(field, name, checkPackage)
		}
	}
}

func (c *checker) setting(name string, v EnvVar) {
	field := join("env", name)
	switch {
	case !envForm.MatchString(name):
		c.bad(field, quote(name)+" is not the name of a variable", "write letters, digits and _, no digit first, like SITE_TITLE")
	case slices.Contains(ownNames, name) || strings.HasPrefix(name, "POPUP_"):
		c.bad(field, "is set by popup itself", "choose another name")
	}
	c.is(field+".description", v.Description, func(s string) error { return checkText(s, 1000) })
	c.oneOf(field+".type", v.Type, settingTypes)
	c.oneOf(field+".generator", v.Generator, generators)
	typed := EnvVar{Type: v.Type, Secret: v.Secret}
	for i, choice := range v.Choices {
		at := fmt.Sprintf("%s.choices[%d]", field, i)
		c.entry(at, choice)
		c.is(at, choice, typed.check)
	}
	switch {
	case v.Value == "":
	case v.Generator != "":
		c.bad(field+".value", "stands beside a generator", "remove one of the two")
	case v.Secret:
		c.bad(field+".value", "is the value of a secret, and everybody can read it here", "remove it; write generator: secret, or required: true")
	default:
		c.is(field+".value", v.Value, v.check)
	}
	if v.Generator != "" && (len(v.Choices) > 0 || v.Type != "" && v.Type != TypeText) {
		c.bad(field+".generator", "makes text that is neither a choice nor a "+quote(v.Type), "remove it, or the type and the choices")
	}
}

func (c *checker) resources(r Resources) {
	if r.CPUs < 0 || r.CPUs > 1024 || math.IsNaN(r.CPUs) {
		c.bad("resources.cpus", "is not a number of processors", "write one like 1 or 0.5")
	}
	c.atLeast("resources.memory", int64(r.Memory), 0, "1 MB")
	c.atLeast("resources.disk", int64(r.Disk), 0, "1 MB")
	for i, arch := range r.Architectures {
		field := fmt.Sprintf("resources.architectures[%d]", i)
		c.entry(field, arch)
		c.oneOf(field, arch, architectures)
	}
}

func (c *checker) lifetime(l Lifetime) {
	c.atLeast("lifetime.default_ttl", int64(l.DefaultTTL), int64(time.Minute), "1m")
	c.atLeast("lifetime.max_ttl", int64(l.MaxTTL), int64(time.Minute), "1m")
	if l.MaxTTL > 0 && l.DefaultTTL > l.MaxTTL {
		c.bad("lifetime.default_ttl", fmt.Sprintf("%v is longer than max_ttl %v", l.DefaultTTL, l.MaxTTL), "make it shorter, or max_ttl longer")
	}
}

// mount checks where something is put into the service's folder.
func (c *checker) mount(field, p string) {
	c.is(field, p, func(s string) error {
		if path.Clean(s) == "." {
			return flaw{quote(s) + " is the service's own folder", "name a folder in it, like data"}
		}
		return checkPath(s)
	})
}
