package web

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
)

// An appsPage is the catalogue.
type appsPage struct {
	Text, Event string
	Keywords    []keyword
	Apps        []appCard
	MayLaunch   bool
	Images      bool // there is a page of them
}

// A keyword narrows the catalogue.
type keyword struct {
	Text, Path string
	On         bool
}

// An appCard is an app of it.
type appCard struct {
	appMark
	Path, Name, Description string
}

// mostKeywords are offered, those of the most apps.
const mostKeywords = 12

func (s *Server) pageApps(c *gin.Context) {
	text, event := c.Query("q"), c.Query("event")
	page := appsPage{Text: text, Event: event, MayLaunch: mayLaunch(s.actor(c)), Images: len(s.bakers) > 0}
	all := s.catalogue.Apps(catalogue.Query{})
	page.Keywords = keywordsOf(all, text, event)
	for _, app := range s.catalogue.Apps(catalogue.Query{Text: text}) {
		page.Apps = append(page.Apps, appCard{s.markOf(app.ID, app.Name), withEvent(appPath(string(app.ID)), event), app.Name, app.Description})
	}
	s.show(c, view{name: templates.ConsoleApps, title: "Apps", section: sectionApps, data: page})
}

// withEvent keeps the event that an app is looked for.
func withEvent(path, event string) string {
	if event == "" {
		return path
	}
	return path + "?" + url.Values{"event": {event}}.Encode()
}

// keywordsOf are the most frequent, in the order of the alphabet.
func keywordsOf(all []catalogue.App, text, event string) (words []keyword) {
	count := map[string]int{}
	for _, app := range all {
		for _, k := range app.Keywords {
			count[k]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	frequent = frequent[:min(len(frequent), mostKeywords)]
	slices.Sort(frequent)
	for _, word := range frequent {
		query := url.Values{"q": {word}}
		if word == text {
			query.Del("q")
		}
		if event != "" {
			query.Set("event", event)
		}
		words = append(words, keyword{word, "/apps?" + query.Encode(), word == text})
	}
	return words
}

// markOf is how an app is shown: by its icon, or by its letter.
func (s *Server) markOf(id apps.AppID, name string) appMark {
	if app, err := s.catalogue.App(id); err == nil && app.Icon.Type != "" {
		return appMark{Icon: "/api/v1/apps/" + url.PathEscape(string(id)) + "/icon"}
	}
	return appMark{Letter: letterOf(name)}
}

// An appPageData is the page of an app.
type appPageData struct {
	appMark
	Name, Description, LaunchPath         string
	MayLaunch                             bool
	Warnings                              []string
	Code                                  sourceLink
	Content                               *sourceLink
	State, License, Website, Needs, Lives string
	Manifest, Commit                      string
	Settings                              []settingLine
	Required                              bool // one of them is
	UserData                              *copyable
	UserDataPath, NoUserData              string
}

// A settingLine is one of an app's.
type settingLine struct{ Name, Description, Default, Mark string }

func (s *Server) pageApp(c *gin.Context) {
	app, err := s.catalogue.App(apps.AppID(c.Param("id")))
	if err != nil {
		s.fail(c, err)
		return
	}
	launch := url.Values{"app": {string(app.ID)}}
	if event := c.Query("event"); event != "" {
		launch.Set("event", event)
	}
	page := appOf(app)
	page.appMark = s.markOf(app.ID, app.Name)
	page.MayLaunch, page.LaunchPath = mayLaunch(s.actor(c)), "/launch?"+launch.Encode()
	for _, p := range s.catalogue.Problems() {
		if p.App == app.ID {
			page.Warnings = append(page.Warnings, spoken(p.Message))
		}
	}
	made, err := s.console.Copy(s.actor(c), app, console.CopyRequest{})
	if err != nil {
		page.NoUserData = "There is no text to copy: " + spoken(problemOf(err).Detail)
	} else {
		page.UserData = &copyable{ID: "userdata", Text: string(made.Text), What: "the user-data", Lines: true}
		page.UserDataPath = "/api/v1/apps/" + url.PathEscape(string(app.ID)) + "/userdata"
	}
	s.show(c, view{name: templates.ConsoleApp, title: app.Name, section: sectionApps, data: page})
}

func appOf(app catalogue.App) appPageData {
	page := appPageData{Name: app.Name, Description: app.Description, Code: linkSource(app.Code), License: app.License, Website: webAddress(app.Website),
		Manifest: cmp.Or(app.File, "none; "+app.Detected), Commit: shortCommit(app.Commit), Needs: needsOf(app.Resources), Lives: livesOf(app.Lifetime)}
	if app.Code.URL == "" {
		page.Code = sourceLink{Text: "whoever launches it says from where"}
	}
	if app.Content != nil {
		from := linkSource(*app.Content)
		page.Content = &from
	}
	if app.State != nil {
		page.State = "what its visitors write: archived at the end"
		if app.State.Size > 0 {
			page.State += ", about " + size(int64(app.State.Size))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(app.Env)) {
		v := app.Env[name]
		line := settingLine{Name: name, Description: v.Description, Default: v.Value}
		switch {
		case v.Required:
			line.Mark, page.Required = "needed", true
		case v.Generator != "":
			line.Mark = "made by itself"
		case v.Secret:
			line.Mark, line.Default = "secret", ""
		}
		page.Settings = append(page.Settings, line)
	}
	return page
}

func needsOf(r apps.Resources) string {
	var needs []string
	if r.Memory > 0 {
		needs = append(needs, size(int64(r.Memory))+" of memory")
	}
	if r.Disk > 0 {
		needs = append(needs, size(int64(r.Disk))+" of disk")
	}
	if len(r.Architectures) > 0 {
		needs = append(needs, strings.Join(r.Architectures, " or "))
	}
	return list(needs)
}

func livesOf(l apps.Lifetime) string {
	var lives []string
	if l.DefaultTTL > 0 {
		lives = append(lives, span(time.Duration(l.DefaultTTL))+" where nobody says")
	}
	if l.MaxTTL > 0 {
		lives = append(lives, "at most "+span(time.Duration(l.MaxTTL)))
	}
	return strings.Join(lives, ", ")
}
