package ending

import (
	"fmt"
	"time"
)

// sentence is what people read about a step. It names no host and holds still
// while the step does, so that a journal that keeps changes stays short.
func (e *Ending) sentence(step Step) string {
	when := e.end.text
	switch {
	case e.end.never():
		return "It has no end."
	case step == Over:
		return "It ended " + when + "."
	case step == Grace:
		return "Its end has come, " + when + ". Whether that was moved could not be asked; it can be read for at most ten minutes more while this is tried again."
	case step == Frozen && e.countOverdue:
		return "It should have ended " + when + ". The clock of this machine could not be confirmed for a day, so it ends within minutes. It can be read until then, but not changed."
	case step == Frozen:
		return "It ends " + when + ". It can be read until then, but not changed."
	case step == Warned && e.countOverdue:
		return "It should have ended " + when + ", but the clock of this machine could not be confirmed. It ends when the clock is confirmed, or else after a day of running past its end."
	case step == Warned:
		return "It ends soon: " + when + "."
	}
	return "It ends " + when + "."
}

// offText is like "3 hours ahead of" or "2 years behind".
func offText(offset time.Duration) string {
	if offset < 0 {
		return roughly(offset) + " behind"
	}
	return roughly(offset) + " ahead of"
}

// roughly is a length of time as one number that a person can judge.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Abs()
	switch {
	case d >= 2*365*day:
		return fmt.Sprintf("%d years", d/(365*day))
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", max(d/time.Minute, 1))
}
