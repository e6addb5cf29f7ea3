package front

import (
	"net/http"
	"time"

	"popup/templates"
)

// A Source is a repository (or folder) and what of it is served.
type Source struct {
	Repository string `json:"repository"`       // userinfo is never shown
	Commit     string `json:"commit,omitempty"` // or revision; empty: none served yet
}

// About is what anybody may know about the instance. Empty fields are not shown.
type About struct {
	App      string    `json:"app"`             // its id
	Name     string    `json:"name,omitempty"`  // empty: Options.Name
	Popup    string    `json:"popup,omitempty"` // popup's own version
	Service  Source    `json:"service"`
	Data     *Source   `json:"data,omitempty"`
	Since    time.Time `json:"since,omitzero"`    // since when this pair is served
	License  string    `json:"license,omitempty"` // of the service
	End      time.Time `json:"end,omitzero"`      // shown in its own zone
	Healthy  bool      `json:"healthy"`
	Stale    string    `json:"stale,omitempty"`     // why the data is not fresh; empty: it is. A stale instance is not ready
	UserData string    `json:"user_data,omitempty"` // launches one's own; holds no settings and no secrets
	// NoUserData is a sentence that says why UserData is empty.
	NoUserData string `json:"no_user_data,omitempty"`
}

// SetAbout changes what /.well-known/popup says.
func (f *Front) SetAbout(a About) {
	if a.Name == "" {
		a.Name = f.opts.Name
	}
	a.Service.Repository = redact(a.Service.Repository)
	if a.Data != nil {
		data := *a.Data
		data.Repository = redact(data.Repository)
		a.Data = &data
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.about = a
}

// SetUnhealthy says why the instance is not ready, in words for anybody; empty: it is.
func (f *Front) SetUnhealthy(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unhealthy = reason
}

type sourceLine struct {
	Repository, URL, Commit string
}

func newSourceLine(s Source) *sourceLine {
	if s.Repository == "" {
		return nil
	}
	return &sourceLine{s.Repository, webURL(s.Repository), s.Commit}
}

type sourcePage struct {
	Name, License, Popup, UserData, NoUserData string
	Service, Data                              *sourceLine
	Since, SinceISO, End, EndISO               string
	Healthy                                    bool
	Unhealthy, Stale                           string
}

// aboutNow is what is known, with what the front itself knows; f.mu is held.
func (f *Front) aboutNow() (About, string) {
	a, reason := f.about, f.notReady()
	a.Healthy = a.Healthy && reason == ""
	if a.Name == "" {
		a.Name = f.opts.Name
	}
	return a, reason
}

// notReady says why the app is not to be sent readers; f.mu is held.
func (f *Front) notReady() string {
	switch {
	case f.over != nil:
		return "it is over"
	case f.closed:
		return "it is stopping"
	case f.current == nil:
		return "it is starting"
	case f.unhealthy != "":
		return f.unhealthy
	case f.about.Stale != "":
		return "the data is stale: " + f.about.Stale
	}
	return ""
}

func (f *Front) sourceAnswer() *answer {
	f.mu.Lock()
	a, reason := f.aboutNow()
	f.mu.Unlock()
	page := sourcePage{
		Name: a.Name, License: a.License, Popup: a.Popup, UserData: a.UserData, NoUserData: a.NoUserData,
		Service: newSourceLine(a.Service), Healthy: a.Healthy, Unhealthy: reason, Stale: a.Stale,
	}
	if a.Stale != "" {
		page.Unhealthy = ""
	}
	if a.Data != nil {
		page.Data = newSourceLine(*a.Data)
	}
	page.Since, page.SinceISO = sayTime(a.Since)
	page.End, page.EndISO = sayTime(a.End)
	return &answer{
		status: http.StatusOK,
		page:   templates.PageSource,
		frame:  templates.Frame{Title: "What runs at " + a.Name, Data: page},
		only:   kindHTML,
	}
}

func (f *Front) aboutAnswer() *answer {
	f.mu.Lock()
	a, reason := f.aboutNow()
	f.mu.Unlock()
	return &answer{status: http.StatusOK, only: kindJSON, json: struct {
		About
		Reason string `json:"reason,omitempty"` // why it is not ready
	}{a, reason}}
}

func (f *Front) userDataAnswer() *answer {
	f.mu.Lock()
	text := f.about.UserData
	f.mu.Unlock()
	if text == "" {
		return noticeNotFound().answer()
	}
	return &answer{status: http.StatusOK, only: kindText, text: text}
}

func (f *Front) readyAnswer() *answer {
	f.mu.Lock()
	reason := f.notReady()
	f.mu.Unlock()
	if reason == "" {
		return &answer{status: http.StatusOK, only: kindText, text: "ready\n"}
	}
	return &answer{status: http.StatusServiceUnavailable, only: kindText, text: reason + "\n", retryIn: defaultRetryIn}
}
