package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// A pricePart is what a launch costs, as step 2 says it.
type pricePart struct {
	Says   string // in a sentence
	Lines  []priceLine
	AsOf   string
	Notes  []string // what is not known
	Capped string   // what its cap does to the event; empty: nothing
}

// A priceLine is a part of what an app costs.
type priceLine struct{ App, What, Hour, Count, For, Total string }

func priceOf(q console.Quote, zone *time.Location) pricePart {
	p := pricePart{Notes: q.Unknown, Capped: q.Cap}
	for _, l := range q.Lines {
		p.Lines = append(p.Lines, priceLine{App: l.Title, What: l.What, Hour: l.Hour.Exact() + " " + l.Hour.Currency, Count: thousands(int64(l.Count)),
			For: hoursOf(l.For), Total: l.Total.String()})
	}
	switch {
	case len(q.Lines) > 0:
		p.Says = "About " + sumOf(q.Total) + " until its end"
		if len(q.Whole) > 0 {
			p.Says += "; the whole event, with what it has cost so far, about " + sumOf(q.Whole)
		}
		if q.Most != nil {
			p.Says = fmt.Sprintf("At most %s, by its cap. Without one: %s%s", *q.Most, strings.ToLower(p.Says[:1]), p.Says[1:])
		}
		p.AsOf = "Prices of " + q.AsOf.In(zone).Format("2 January 2006") + ", without taxes and without what traffic costs."
	case len(q.Unknown) > 0:
		p.Says = "Not known here"
	default:
		p.Says = "Free of charge here"
	}
	return p
}

// hoursOf is a length of time in hours, each that began: about as long as is paid for.
func hoursOf(d time.Duration) string {
	return counted(int64((d+time.Hour-1)/time.Hour), "hour", "hours")
}

// sumOf are amounts of several currencies.
func sumOf(all []console.Money) string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = m.String()
	}
	return strings.Join(texts, " and ")
}

// costWords says what an event has cost; empty: nothing of it costs money.
func costWords(e console.Event, now time.Time) string {
	spent := e.Spent(now)
	switch {
	case len(spent) == 0 && e.Unpriced:
		return "What it costs is not known here"
	case len(spent) == 0:
		return ""
	}
	words := "About " + sumOf(spent)
	if e.State != console.EventArchived && e.State != console.EventPurged {
		words += " so far"
	}
	if cap := e.CapAmount(); cap != nil && !e.State.Over() {
		words += ", of " + cap.String()
	}
	if e.Unpriced {
		words += ", and what is not known here"
	}
	return words
}

// capValue is an event's cap as it is typed.
func capValue(e console.Event) string {
	if cap := e.CapAmount(); cap != nil {
		return cap.Exact()
	}
	return ""
}

// capField is where a cap is typed.
func capField(name, value string) field {
	return field{Name: name, Label: "Cap", Hint: "What it may cost, like 25 or 25.50. Before that is reached the event freezes and ends. Empty: no cap.", Value: value, Optional: true, Plain: true, Autocomplete: "off"}
}

// moneyFields shows what an event may cost to whoever manages it; given, where it is not
// nil, was typed and stays.
func (p *eventPageData) moneyFields(e console.Event, given *string) {
	if !e.Unpriced && len(e.Meters) == 0 && e.Cap == 0 {
		return
	}
	value := capValue(e)
	if given != nil {
		value = *given
	}
	p.Money, p.Cap = true, capField("cap", value)
}

func (s *Server) doCap(c *gin.Context) {
	given := strings.TrimSpace(c.PostForm("cap"))
	e, err := s.console.ChangeEvent(c.Request.Context(), s.actor(c), c.Param("id"), console.EventChange{Cap: &given})
	s.afterEvent(c, e, err, eventForm{cap: &given}, "saved")
}
