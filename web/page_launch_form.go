package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"popup/apps"
	"popup/console"
)

// mostForms bounds the apps of one form.
const mostForms = 20

var (
	appsField    = regexp.MustCompile(`^apps\[(\d{1,2})\]\.(app|repository|commit|title|count|service|data|domains|restore|volume)$`)
	settingField = regexp.MustCompile(`^apps\[(\d{1,2})\]\.settings\.([A-Za-z_][A-Za-z0-9_]{0,99})$`)
)

// readLaunch reads a form of a launch. Its fields have the API's names; what has no
// other is passed over. A number that is none is -1, which is refused further on.
func readLaunch(form url.Values) console.LaunchRequest {
	r := console.LaunchRequest{Cloud: form.Get("cloud"), Event: console.EventRequest{ID: form.Get("event.id")}}
	if r.Event.ID == "" {
		r.Event = console.EventRequest{Name: form.Get("event.name"), Title: form.Get("event.title"), Start: form.Get("event.start"),
			Freeze: form.Get("event.freeze"), End: givenEnd(form.Get("event.end"), form.Get("event.time")), Zone: form.Get("event.zone"), Webhook: form.Get("event.webhook"),
			Cap: strings.TrimSpace(form.Get("event.cap"))}
	}
	byNumber := map[int]*console.AppRequest{}
	app := func(number string) *console.AppRequest {
		n, _ := strconv.Atoi(number) // it is one
		if byNumber[n] == nil {
			byNumber[n] = &console.AppRequest{Settings: map[string]string{}}
		}
		return byNumber[n]
	}
	for name, values := range form {
		if m := appsField.FindStringSubmatch(name); m != nil {
			setApp(app(m[1]), m[2], strings.TrimSpace(values[len(values)-1]))
		} else if m := settingField.FindStringSubmatch(name); m != nil {
			app(m[1]).Settings[m[2]] = values[len(values)-1]
		}
	}
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		if a := byNumber[n]; (a.App != "" || a.Repository != "") && len(r.Apps) < mostForms {
			r.Apps = append(r.Apps, *a)
		}
	}
	return r
}

// givenEnd is a day, or a day and a time, of two fields.
func givenEnd(day, clock string) string {
	if day == "" || clock == "" || strings.Contains(day, "T") {
		return day
	}
	return day + "T" + clock
}

func setApp(a *console.AppRequest, name, value string) {
	switch name {
	case "app":
		a.App = apps.AppID(value)
	case "repository":
		a.Repository = value
	case "commit":
		a.Commit = value
	case "title":
		a.Title = value
	case "service":
		a.Service = value
	case "data":
		a.Data = value
	case "restore":
		a.Restore = value
	case "volume":
		a.Volume = value == "true"
	case "domains":
		a.Domains = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
	case "count":
		n, err := strconv.Atoi(cmp.Or(value, "0"))
		if err != nil {
			n = -1
		}
		a.Count = n
	}
}

// hiddenLaunch carries a request through a page on which nothing of it is typed.
func hiddenLaunch(r console.LaunchRequest, key string) []hidden {
	fields := []hidden{{"key", key}}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, hidden{name, value})
		}
	}
	add("cloud", r.Cloud)
	e := r.Event
	for _, f := range []hidden{{"id", e.ID}, {"name", e.Name}, {"title", e.Title}, {"start", e.Start}, {"freeze", e.Freeze}, {"end", e.End}, {"zone", e.Zone}, {"webhook", e.Webhook}, {"cap", e.Cap}} {
		add("event."+f.Name, f.Value)
	}
	for i, a := range r.Apps {
		count, volume := "", ""
		if a.Volume {
			volume = "true"
		}
		if a.Count != 0 {
			count = strconv.Itoa(a.Count)
		}
		for _, f := range []hidden{{"app", string(a.App)}, {"repository", a.Repository}, {"commit", a.Commit}, {"title", a.Title}, {"count", count},
			{"service", a.Service}, {"data", a.Data}, {"domains", strings.Join(a.Domains, " ")}, {"restore", a.Restore}, {"volume", volume}} {
			add(fmt.Sprintf("apps[%d].%s", i, f.Name), f.Value)
		}
		for _, name := range slices.Sorted(maps.Keys(a.Settings)) {
			add(fmt.Sprintf("apps[%d].settings.%s", i, name), a.Settings[name])
		}
	}
	return fields
}

// settle leaves out what is as the manifest has it, or empty: then the app's own
// default holds, whatever it is by then.
func settle(a console.AppRequest, m apps.Manifest) console.AppRequest {
	settings := map[string]string{}
	for name, value := range a.Settings {
		if v, known := m.Env[name]; known && (value == "" || value == v.Value) {
			continue
		}
		settings[name] = value
	}
	a.Settings = settings
	return a
}
