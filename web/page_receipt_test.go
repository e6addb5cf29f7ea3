package web

import (
	"strings"
	"testing"
	"time"

	"popup/console"
)

// TestReceiptOfThings: a receipt says that all is gone only where it is, and of what is not why.
func TestReceiptOfThings(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	event := console.Event{Name: "fair", State: console.EventArchived, Zone: "UTC", EndedAt: now}
	thing := func(left bool, change func(*console.LeftThing)) console.ReceiptThing {
		t := console.ReceiptThing{LeftThing: console.LeftThing{Thing: console.Thing{Kind: console.ThingGroup, ID: "sg-1", Place: "zone-a"}, Cloud: "ec2"}, Left: left}
		change(&t.LeftThing)
		return t
	}
	for name, c := range map[string]struct {
		things             []console.ReceiptThing
		unknown            string
		says, word, reason string
	}{
		"nothing":   {nil, "", "everything that ran is gone", "", ""},
		"gone":      {[]console.ReceiptThing{thing(false, func(t *console.LeftThing) { t.Gone = now })}, "", "everything that ran is gone", "gone", ""},
		"left":      {[]console.ReceiptThing{thing(true, func(t *console.LeftThing) { t.Why = "another uses it" })}, "", "Not all that was made for it is gone", "left behind", "Another uses it."},
		"dismissed": {[]console.ReceiptThing{thing(true, func(t *console.LeftThing) { t.Dismissed = "olga" })}, "", "Not all", "left behind", "Its owner said that it may stay."},
		"unknown":   {nil, "nobody answers", "Not all", "", ""},
	} {
		page := receiptOf(console.Receipt{Event: event, Things: c.things, Unknown: c.unknown}, now)
		if !strings.Contains(page.Says, c.says) || (page.Unknown != "") != (c.unknown != "") || len(page.Things) != len(c.things) {
			t.Errorf("%s: %q, %q, %v", name, page.Says, page.Unknown, page.Things)
		}
		for _, line := range page.Things {
			if line.Chip.Word != c.word || line.Why != c.reason || line.Where != "ec2, zone-a" {
				t.Errorf("%s: %+v", name, line)
			}
		}
	}
}
