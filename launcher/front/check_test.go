package front

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the board of today") })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret trace", 500) })
	mux.HandleFunc("/204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/panic", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "half"); panic(http.ErrAbortHandler) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write(make([]byte, 4096))
		}
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 2<<20), "needle") })
	mux.Handle("/once", http.RedirectHandler("ok?x=1", http.StatusFound))
	mux.Handle("/absolute", http.RedirectHandler("http://localhost/ok", http.StatusMovedPermanently))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/a", http.RedirectHandler("/b", http.StatusFound))
	mux.Handle("/b", http.RedirectHandler("/a", http.StatusFound))
	mux.HandleFunc("/hop/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		if fmt.Sscan(r.PathValue("n"), &n); n > 0 {
			http.Redirect(w, r, fmt.Sprint("/hop/", n-1), http.StatusSeeOther)
		}
		fmt.Fprint(w, "there")
	})
	mux.Handle("/away", http.RedirectHandler("https://login.example/x?secret=1", http.StatusFound))
	mux.HandleFunc("/query", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Query().Get("q"), r.Host) })
	for _, c := range []struct {
		hc   HealthCheck
		want string // of the error; empty: healthy
	}{
		{HealthCheck{Path: "/ok"}, ""}, {HealthCheck{Path: "/ok", Contains: "board"}, ""}, {HealthCheck{Path: "/once", Contains: "board"}, ""},
		{HealthCheck{Path: "/absolute"}, ""}, {HealthCheck{Path: "/once", Status: 302}, ""}, {HealthCheck{Path: "/204", Status: 204}, ""}, {HealthCheck{Path: "/hop/5"}, ""},
		{HealthCheck{Path: "/hop/6"}, "GET /hop/6 redirects for ever (/hop/6 → /hop/5 → /hop/4 → /hop/3 → …); give health_check.http_path a page that answers by itself"},
		{HealthCheck{Path: "/500", Status: 500, Contains: "trace"}, ""}, {HealthCheck{Path: "/query?q=yes", Contains: "yeslocalhost"}, ""},
		{HealthCheck{Path: "/500"}, "GET /500 answered 500 Internal Server Error; expected 200 OK"},
		{HealthCheck{}, "GET / answered 404 Not Found; expected 200 OK"},
		{HealthCheck{Path: "/empty"}, "GET /empty answered 200 OK but the page is empty"},
		{HealthCheck{Path: "/empty", Contains: "x"}, `GET /empty answered 200 OK but the page does not contain "x" (it is empty)`},
		{HealthCheck{Path: "/ok", Contains: "bord"}, `GET /ok answered 200 OK but the page does not contain "bord" (it has 18 bytes)`},
		{HealthCheck{Path: "/late", Contains: "needle"}, `GET /late answered 200 OK but the page does not contain "needle" (its first 1 MiB were searched)`},
		{HealthCheck{Path: "/endless", Contains: "x"}, `GET /endless answered 200 OK but the page does not contain "x" (its first 1 MiB were searched)`},
		{HealthCheck{Path: "/slow", Timeout: 20 * time.Millisecond}, "GET /slow was not answered within 20ms"},
		{HealthCheck{Path: "/panic"}, "GET /panic broke off in the middle of the answer"},
		{HealthCheck{Path: "/loop"}, "GET /loop redirects for ever (/loop → /loop → /loop → /loop → …); give health_check.http_path a page that answers by itself"},
		{HealthCheck{Path: "/a"}, "GET /a redirects for ever (/a → /b → /a → /b → …); give health_check.http_path a page that answers by itself"},
		{HealthCheck{Path: "/away"}, "GET /away redirects to another host, login.example; the health check stays with the app"},
		{HealthCheck{Path: "ok"}, `health check path "ok" does not begin with a slash`},
		{HealthCheck{Path: "/%zz"}, `health check path "/%zz" is not a path: parse "http://localhost/%zz": invalid URL escape "%zz"`},
	} {
		err := Check(t.Context(), mux, c.hc)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || (err != nil && got != c.want) {
			t.Errorf("%+v:\n got %v\nwant %s", c.hc, err, c.want)
		}
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(fmt.Errorf("the instance stops"))
		<-r.Context().Done()
	})
	if err := Check(ctx, h, HealthCheck{}); err == nil || err.Error() != "GET / was not answered: the instance stops" {
		t.Error(err)
	}
}

func TestCheckURL(t *testing.T) {
	srv := httptest.NewServer(text("hello"))
	if err := CheckURL(t.Context(), srv.URL, HealthCheck{Contains: "hello"}); err != nil {
		t.Error(err)
	}
	addr := srv.Listener.Addr().String()
	srv.Close()
	want := "GET / was not answered: nothing listens on " + addr + ": connection refused"
	if err := CheckURL(t.Context(), "http://"+addr, HealthCheck{}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := CheckURL(t.Context(), "http//x", HealthCheck{}); err == nil || !strings.Contains(err.Error(), `"http//x" is not http://HOST:PORT`) {
		t.Error(err)
	}
}

func TestCheckThroughAProxySeesWhatBreaksOff(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "the board")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	if err := CheckURL(t.Context(), srv.URL, HealthCheck{Contains: "board"}); err == nil || err.Error() != "GET / broke off in the middle of the answer" {
		t.Error(err)
	}
	addr := srv.Listener.Addr().String()
	if err := CheckURL(t.Context(), srv.URL, HealthCheck{Path: "/silent"}); err == nil ||
		err.Error() != "GET /silent was not answered: the app on "+addr+" hung up without an answer" {
		t.Error(err)
	}
	// A listener that accepts and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = CheckURL(t.Context(), "http://"+l.Addr().String(), HealthCheck{Timeout: 30 * time.Millisecond})
	if err == nil || err.Error() != "GET / was not answered within 30ms" {
		t.Error(err)
	}
}
