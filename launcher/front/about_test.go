package front

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestOver(t *testing.T) {
	f := newFront(t, Options{Name: "Auction"})
	f.Flip(Serving{Handler: text("app")})
	end := time.Date(2026, 5, 31, 18, 0, 0, 0, time.UTC)
	f.SetOver(&Over{Event: "May <fair>", End: end, Archive: "https://user:secret@archive.example/may.tar"})
	w := ask(f, "POST", "/any", "Accept", "text/html")
	wantStatus(t, w, 410)
	wantText(t, w.Body.String(), "May &lt;fair&gt; is over", "31 May 2026, 18:00 UTC", `href="https://archive.example/may.tar"`)
	plain := ask(f, "GET", "/")
	wantText(t, plain.Body.String(), "May <fair> is over\nended: 31 May 2026, 18:00 UTC\nkept at: https://archive.example/may.tar\n")
	if all := w.Body.String() + plain.Body.String(); strings.Contains(all, "secret") {
		t.Error("the page shows a password")
	}
	wantStatus(t, ask(f, "GET", "/.well-known/popup"), 200)
	f.SetOver(&Over{Archive: "javascript:alert(1)"})
	if body := ask(f, "GET", "/", "Accept", "text/html").Body.String(); strings.Contains(body, `href="javascript`) {
		t.Errorf("a link runs a script:\n%s", body)
	}
	f.SetOver(nil)
	wantStatus(t, ask(f, "GET", "/"), 200)
}

func TestAbout(t *testing.T) {
	f := newFront(t, Options{Name: "Board"})
	about := About{
		App: "board", Popup: "1.0", Healthy: true, License: "Apache-2.0",
		Service: Source{"https://token@git.example/board.git", "abc123"}, Data: &Source{"ssh://git:pw@git.example/data", "def456"},
		Since: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC), UserData: "#!/bin/sh\necho <hello>\n",
	}
	f.SetAbout(about)
	if about.Data.Repository != "ssh://git:pw@git.example/data" {
		t.Error("SetAbout changed what it was given")
	}
	wantStatus(t, ask(f, "GET", "/.well-known/popup/ready"), 503)
	f.Flip(Serving{Handler: text("app")})
	wantStatus(t, ask(f, "GET", "/.well-known/popup/ready"), 200)

	page := ask(f, "GET", "/.well-known/popup/")
	wantStatus(t, page, 200)
	wantText(t, page.Body.String(), "Board is open source", `href="https://git.example/board.git"`, "abc123", "ssh://git@git.example/data",
		"def456", "1 May 2026, 09:00 UTC", "Apache-2.0", "echo &lt;hello&gt;", `class="good">healthy`)
	var got struct {
		About
		Reason string
	}
	answer := ask(f, "GET", "/.well-known/popup")
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.App != "board" || got.Service.Commit != "abc123" || !got.Healthy || got.UserData != about.UserData || got.Reason != "" {
		t.Errorf("JSON says %+v", got)
	}
	if all := page.Body.String() + answer.Body.String(); strings.Contains(all, "token") || strings.Contains(all, "pw@") {
		t.Error("a password is shown")
	}
	if w := ask(f, "GET", "/.well-known/popup/user-data"); w.Body.String() != about.UserData {
		t.Errorf("user-data: %q", w.Body)
	}
	wantStatus(t, ask(f, "GET", "/.well-known/popup/other"), 404)
	wantStatus(t, ask(f, "POST", "/.well-known/popup"), 405)
	if w := ask(f, "GET", "/.well-known/popups"); w.Body.String() != "app" {
		t.Errorf("an address of the app's own was taken: %q", w.Body)
	}

	about.UserData, about.NoUserData = "", "It comes from a <folder>."
	f.SetAbout(about)
	page = ask(f, "GET", "/.well-known/popup/")
	wantText(t, page.Body.String(), "There is no user-data to copy. It comes from a &lt;folder&gt;.", "this is what is served right now.")
	if strings.Contains(page.Body.String(), "how to run your own") {
		t.Errorf("the page promises what it does not have:\n%s", page.Body)
	}
	wantText(t, ask(f, "GET", "/.well-known/popup").Body.String(), `"no_user_data": "It comes from a`)

	about.Stale = "upstream did not answer since yesterday"
	f.SetAbout(about)
	w := ask(f, "GET", "/.well-known/popup/ready")
	wantStatus(t, w, 503)
	wantText(t, w.Body.String(), "the data is stale: upstream did not answer")
	wantText(t, ask(f, "GET", "/.well-known/popup/").Body.String(), `class="bad">not healthy`, "data is stale")
	f.SetUnhealthy("GET / answered 500")
	wantText(t, ask(f, "GET", "/.well-known/popup/ready").Body.String(), "GET / answered 500")
}
