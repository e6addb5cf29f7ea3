package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/skip2/go-qrcode"

	"popup/console"
	"popup/templates"
)

// A publicPage is an event for anybody.
type publicPage struct {
	Title, Says, Reminder, Ends string
	Apps                        []publicDoor
}

// A publicDoor leads to an app; closed where Address is empty.
type publicDoor struct {
	Mark                 appMark
	Title, Says, Address string
}

func (s *Server) pagePublic(c *gin.Context) {
	public, err := s.console.PublicEvent(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.show(c, view{name: templates.ConsolePublic, title: public.Event.Title, lone: true, refresh: 60, data: publicOf(public, s.console.Now())})
}

func publicOf(p console.PublicEvent, now time.Time) publicPage {
	page := publicPage{Title: p.Event.Title, Reminder: p.Reminder}
	switch state := p.Event.State; {
	case state.Over():
		page.Reminder = "" // there is nothing left to be reminded of
		page.Says = "It is over: " + lowerFirst(endsWords(p.Event, now)) + ". Thank you for being part of it."
		return page
	case state == console.EventScheduled:
		page.Says = endsWords(p.Event, now) + "."
	case state == console.EventFrozen:
		page.Says = "Everything can still be seen; nothing can be added or changed any more."
	case len(p.Apps) == 1:
		page.Says = "Come in."
	default:
		page.Says = "Choose where to go."
	}
	if state := p.Event.State; state != console.EventScheduled {
		page.Ends = endsWords(p.Event, now)
	}
	for _, app := range p.Apps {
		door := publicDoor{Mark: appMark{Letter: letterOf(app.Title)}, Title: app.Title, Says: app.Says}
		if app.Live {
			door.Address = webAddress(app.Address)
		}
		page.Apps = append(page.Apps, door)
	}
	return page
}

// publicCode is the address of an event's page as a QR code, to be printed.
func (s *Server) publicCode(c *gin.Context) {
	public, err := s.console.PublicEvent(c.Request.Context(), c.Param("name"))
	if err != nil {
		s.fail(c, err)
		return
	}
	code, err := qrcode.New(s.opts.URL+publicPath(public.Event.Name), qrcode.Medium)
	if err != nil {
		s.fail(c, fmt.Errorf("make the code of event %s: %w", public.Event.ID, err))
		return
	}
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "image/svg+xml", []byte(codeSVG(code.Bitmap())))
}

// codeSVG draws a code, one path a row.
func codeSVG(dots [][]bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[2]dH0z"/><path d="`, len(dots), len(dots))
	for y, row := range dots {
		for x := 0; x < len(row); x++ {
			from := x
			for x < len(row) && row[x] {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%[3]dz", from, y, x-from)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

func lowerFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + text[1:]
}
