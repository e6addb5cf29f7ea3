package web

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// A checkPage is step 2: check your answers.
type checkPage struct {
	Title, Ends, Starts, Public, Cloud, Machines, Button string
	Apps                                                 []checkedApp
	Price                                                pricePart
	Notes                                                []string
	Hidden                                               []hidden
}

// A checkedApp is an app as it would be launched.
type checkedApp struct {
	Mark                  appMark
	Title, Name, UserData string
	Code                  sourceLink
	Content               *sourceLink
	Settings              []fact
	Count                 int
}

// showCheck shows what a launch would do; what is wrong leads back to step 1.
func (s *Server) showCheck(c *gin.Context, f launchForm) {
	for i, r := range f.request.Apps {
		m, err := s.offered(c, r)
		if err != nil {
			continue // Preview says so
		}
		f.request.Apps[i] = settle(r, m)
	}
	preview, err := s.console.Preview(c.Request.Context(), s.actor(c), f.request)
	if s.refuseLaunch(c, f, err) {
		return
	}
	page := s.checkOf(preview, s.console.Now())
	page.Hidden = hiddenLaunch(f.request, f.key)
	s.show(c, view{name: templates.ConsoleCheck, title: "Check your answers", section: sectionEvents, data: page})
}

func (s *Server) checkOf(p console.Preview, now time.Time) checkPage {
	page := checkPage{Title: p.Event.Title, Ends: endOf(p.Event) + " (" + relative(p.Event.EndsAt, now) + ")", Public: s.opts.URL + publicPath(p.Event.Name),
		Cloud: cloudWords(p.Cloud), Machines: counted(int64(p.Count), "machine", "machines"), Button: p.Button, Price: priceOf(p.Quote, zoneOf(p.Event.Zone))}
	if p.Event.StartsAt.After(now) {
		page.Starts = at(p.Event.StartsAt, now, zoneOf(p.Event.Zone)).Text
	}
	for _, note := range p.Notes {
		page.Notes = append(page.Notes, spoken(note))
	}
	for _, a := range p.Apps {
		d := a.Deployment
		app := checkedApp{Mark: s.markOf(d.App, a.Name), Title: d.Title, Name: a.Name, UserData: a.UserData, Code: linkSource(d.Plan.Service), Count: d.Count}
		if d.Plan.Data != nil {
			from := linkSource(*d.Plan.Data)
			app.Content = &from
		}
		if d.Restore != nil {
			app.Settings = append(app.Settings, fact{Label: "Begins with", Value: "the backup " + d.Restore.Name + " of " + d.Restore.Instance})
		}
		if d.Volume != nil {
			app.Settings = append(app.Settings, fact{Label: "Keeps", Value: "what visitors write on a volume"})
		}
		for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
			app.Settings = append(app.Settings, fact{Label: settingLabel(d.App, name), Value: d.Settings[name]})
		}
		for _, name := range d.SecretNames {
			app.Settings = append(app.Settings, fact{Label: settingLabel(d.App, name), Value: "secret, not shown"})
		}
		page.Apps = append(page.Apps, app)
	}
	return page
}

// cloudMeans are the clouds as people know them.
var cloudMeans = map[string]string{
	"local": "this console’s own machine", "manual": "machines that somebody starts by hand", "ec2": "a cloud with EC2’s API",
	"vm": "virtual machines of this console’s machine", "container": "containers of this console’s machine",
}

func cloudWords(name string) string { return cmp.Or(cloudMeans[name], name) }
