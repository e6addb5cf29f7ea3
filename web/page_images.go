package web

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
)

// An imagesPage lists what launches start from, and what is being made of that kind.
type imagesPage struct {
	Problems []fieldProblem
	Trouble  string // a cloud that could not be asked
	Images   []imageLine
	Bakes    []bakeLine
	New      []field // what an image is made of; none: nobody here makes one
	Key      string  // of the one that is made, once
	MayMake  bool
}

// An imageLine is an image.
type imageLine struct {
	ID, App, Cloud, Says, Sooner string
	RemovePath                   string // empty: it is somebody else's to remove
	Baked                        *moment
}

// A bakeLine is one that is being made, or was.
type bakeLine struct {
	Title, Cloud, Failure string
	Chip                  chip
	Began                 *moment
}

var bakeChips = map[console.BakeState]chip{
	console.BakeInstalls: {"installing", "busy", "half"}, console.BakeCopies: {"copying", "busy", "half"},
	console.BakeDone: {"done", "good", "check"}, console.BakeFailed: {"failed", "bad", "warning"},
}

func (s *Server) pageImages(c *gin.Context) {
	s.showImages(c, console.BakeRequest{}, rand.Text(), nil, 0)
}

// doBake makes an image.
func (s *Server) doBake(c *gin.Context) {
	r, key := console.BakeRequest{App: apps.AppID(c.PostForm("app")), Cloud: c.PostForm("cloud")}, cmp.Or(c.PostForm("key"), rand.Text())
	_, err := s.console.Bake(c.Request.Context(), s.actor(c), r, key)
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showImages(c, r, key, fields, status) }) {
		return
	}
	s.done(c, "/images", "baking")
}

// doForgetImage removes an image, and answers once it is gone.
func (s *Server) doForgetImage(c *gin.Context) {
	keepAlive(c, forgetTime)
	err := s.console.ForgetImage(c.Request.Context(), s.actor(c), c.Param("id"))
	if s.refuse(c, err, func(fields []console.FieldError, status int) {
		s.showImages(c, console.BakeRequest{}, rand.Text(), fields, status)
	}) {
		return
	}
	s.done(c, "/images", "removed")
}

// forgetTime bounds how long a cloud takes to have an image gone.
const forgetTime = 6 * time.Minute

func (s *Server) showImages(c *gin.Context, r console.BakeRequest, key string, wrong []console.FieldError, status int) {
	actor := s.actor(c)
	bakes, err := s.console.Bakes(c.Request.Context(), actor)
	if err != nil {
		s.fail(c, err)
		return
	}
	images, failed := s.console.Images(c.Request.Context(), actor)
	page := imagesOf(images, bakes, console.May(actor, console.Admin) == nil, s.console.Now())
	if failed != nil {
		s.log.WarnContext(c.Request.Context(), "list images", "request", c.GetString(keyRequest), "err", failed)
		page.Trouble = "Not all clouds say which images they have. The log of this console says why."
	}
	if page.Key, page.MayMake = key, mayLaunch(actor); len(s.bakers) > 0 && page.MayMake {
		page.New = s.bakeFields(r)
	}
	page.Problems = explain(wrong, "", page.New)
	s.show(c, view{name: templates.ConsoleImages, status: status, title: "Images", section: sectionApps, data: page})
}

func (s *Server) bakeFields(r console.BakeRequest) []field {
	app := field{Name: "app", Label: "Of which app?", Type: "select", Value: string(r.App)}
	for _, a := range s.catalogue.Apps(catalogue.Query{}) {
		app.Choices = append(app.Choices, choice{string(a.ID), a.Name})
	}
	cloud := field{Name: "cloud", Label: "In which cloud?", Type: "select", Value: r.Cloud}
	for _, name := range s.bakers {
		cloud.Choices = append(cloud.Choices, choice{name, name})
	}
	return []field{app, cloud}
}

func imagesOf(images []console.KeptImage, bakes []console.Bake, mayRemove bool, now time.Time) (page imagesPage) {
	for _, i := range images {
		line := imageLine{ID: i.ID, App: cmp.Or(i.App, "not of this console"), Cloud: i.Cloud, Baked: at(i.Baked, now, time.UTC), Says: "not complete"}
		if until := at(i.Expires, now, time.UTC); i.Ready && until != nil {
			line.Says = "kept until " + until.Text
		}
		if by := i.Times.Sooner(); by > 0 {
			line.Sooner = fmt.Sprintf("up %d s sooner", int(by.Seconds()))
		}
		if mayRemove {
			line.RemovePath = "/images/" + url.PathEscape(i.ID) + "/remove"
		}
		page.Images = append(page.Images, line)
	}
	for _, b := range bakes {
		if b.State != console.BakeDone {
			page.Bakes = append(page.Bakes, bakeLine{b.Title, b.Cloud, spoken(b.Failure), bakeChips[b.State], at(b.Created, now, time.UTC)})
		}
	}
	return page
}

var imageRoutes = []route{
	{method: http.MethodGet, path: "/images", who: signedIn, endpoint: page((*Server).pageImages)},
	{method: http.MethodPost, path: "/images", who: signedIn, endpoint: page((*Server).doBake)},
	{method: http.MethodPost, path: "/images/:id/remove", who: signedIn, endpoint: page((*Server).doForgetImage)},
}
