package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"popup/console"
	"popup/web/api"
	"popup/web/client"
)

// sum is what amounts come to, one after the other where they are of several currencies.
func sum(all []api.Money) string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = strings.TrimSpace(m.Amount + " " + m.Currency)
	}
	return strings.Join(texts, " and ")
}

// printQuote says what a launch costs until its event ends.
func printQuote(w io.Writer, q api.Quote) {
	if q.Free {
		fact(w, "costs", "free of charge here")
		return
	}
	for _, l := range q.Lines {
		length := (time.Duration(l.Seconds) * time.Second).Round(time.Minute)
		fact(w, "price", fmt.Sprintf("%s: %s, %s an hour, %d for %s: %s", l.App, l.What, sum([]api.Money{l.Hour}), l.Count, length, sum([]api.Money{l.Total})))
	}
	if len(q.Lines) > 0 {
		fact(w, "costs", fmt.Sprintf("about %s until its end, by prices of %s, without taxes and traffic", sum(q.Total), q.AsOf.Format(time.DateOnly)))
	}
	if len(q.Whole) > 0 {
		fact(w, "in all", "about "+sum(q.Whole)+" for the whole event")
	}
	for _, text := range q.Unknown {
		fact(w, "costs", text)
	}
	fact(w, "cap", q.Cap)
}

// costOf says what an event has cost; empty: nothing.
func costOf(e api.Event) string {
	var words []string
	if len(e.Spent) > 0 {
		words = append(words, "about "+sum(e.Spent))
	}
	if e.Cap != "" {
		words = append(words, "with a cap of "+e.Cap)
	}
	if e.Unpriced {
		words = append(words, "and what is not known here")
	}
	return strings.Join(words, ", ")
}

// agree asks whether to launch what costs money, after it said how much.
func (f launchFlags) agree(ctx context.Context, c *client.Client, r console.LaunchRequest, p prompt) error {
	preview, err := c.Preview(ctx, r)
	if err != nil || preview.Quote.Free {
		return err
	}
	if err := printLines(p.out, func(w io.Writer) { printQuote(w, preview.Quote) }); err != nil || f.yes {
		return err
	}
	const no = "nothing was launched; --yes agrees to what it costs"
	answer, err := p.line(ctx, "Launch it? Type yes: ")
	if err != nil {
		return fmt.Errorf("%s: %w", no, err)
	}
	if !strings.EqualFold(answer, "yes") {
		return usageError{errors.New(no)}
	}
	return nil
}
