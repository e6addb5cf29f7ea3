package launcher

import (
	"fmt"
	"time"

	"popup/datasync"
	"popup/launcher/ending"
	"popup/launcher/front"
)

// showBoot hands the phases to the boot page, less what is only for the status.
func (a *Appliance) showBoot(phases []Phase) {
	boot := front.Boot{}
	for _, p := range phases {
		shown := front.Phase{Name: string(p.Name), State: p.State, Cause: p.Cause, Attempt: p.Attempt, Since: p.Since}
		if p.NextTry != nil {
			shown.NextTry = *p.NextTry
		}
		boot.Phases = append(boot.Phases, shown)
	}
	a.front.SetBoot(boot)
}

// showAbout tells the view-source page what is served now.
func (a *Appliance) showAbout() {
	s := a.now()
	about := front.About{
		App: s.App, Name: s.Name, Popup: s.Version, License: a.opts.Plan.Manifest.License, Since: s.Since, Healthy: s.Healthy,
	}
	about.UserData, about.NoUserData = a.ownUserData()
	if s.Serving != nil {
		about.Since = s.Serving.Since
		about.Service = front.Source{Repository: shownAddress(&a.opts.Plan.Service), Commit: string(s.Serving.Release)}
		if a.opts.Plan.Data != nil {
			about.Data = &front.Source{Repository: shownAddress(a.opts.Plan.Data), Commit: string(s.Serving.Revision)}
		}
	}
	if s.End != nil {
		about.End = s.End.At
	}
	about.Stale = stale(s.Data, time.Now())
	a.front.SetAbout(about)
}

// Status is the whole truth about the instance, now.
func (a *Appliance) Status() Status {
	s := a.now()
	entries, err := a.journal.Tail(journalShown)
	if err != nil {
		s.Notes = append(s.Notes, err.Error())
	}
	s.Journal = entries
	return s
}

// now is a Status without the journal.
func (a *Appliance) now() Status {
	m, stats := a.opts.Plan.Manifest, a.front.Stats()
	s := Status{
		App: string(m.ID), Name: m.Name, Instance: a.memory.get().Instance, Version: a.opts.Version, URL: a.url,
		Since: a.started, Phases: a.board.list(), Restarts: int(a.restarts.Load()), Requests: stats.Requests, Errors: stats.Errors,
	}
	if a.isPrepared() {
		s.Service = a.service.status()
		if a.data != nil {
			s.Data = a.data.status()
		}
	}
	s.Console = a.console.statusNow()
	a.mu.Lock()
	s.ReadOnly, s.End = a.readOnly, a.end
	s.Notes = append(a.https.problems(), a.notes...)
	healthErr := a.healthErr
	if a.current != nil {
		s.Serving = &Serving{Release: a.current.Release, Revision: a.current.Revision, Since: a.since}
	}
	a.mu.Unlock()
	s.Live = s.Serving != nil
	s.Why = a.whyNot(s, healthErr)
	s.Healthy = s.Why == ""
	return s
}

// journalShown is how many of the newest journal entries a status carries.
const journalShown = 50

// whyNot says why the instance is not healthy; nothing where it is.
func (a *Appliance) whyNot(s Status, healthErr error) string {
	if s.End != nil && s.End.Step == ending.Over.String() {
		return errOver.Error()
	}
	if !s.Live {
		for _, p := range s.Phases {
			if p.State == front.PhaseFailed {
				return fmt.Sprintf("%s failed: %s", p.Name, firstOf(p.Detail, p.Cause))
			}
		}
		return "it is still starting"
	}
	if healthErr != nil {
		return healthErr.Error()
	}
	return stale(s.Data, time.Now())
}

// stale says that data is older than it should be: nothing brought what is wanted for three periods.
func stale(s *datasync.Status, now time.Time) string {
	if s == nil || !s.Stale(now) {
		return ""
	}
	return fmt.Sprintf("the data was last found to be the newest %s ago", now.Sub(s.Confirmed).Round(time.Minute))
}

// staleNow is stale for the data as it stands.
func (a *Appliance) staleNow() string {
	if a.data == nil {
		return ""
	}
	return stale(a.data.status(), time.Now())
}

func (s *stream) status() *datasync.Status {
	status := s.syncer.Status()
	return &status
}
