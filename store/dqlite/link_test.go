//go:build dqlite

package dqlite

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// linked is a link without an engine, which ends with the test.
func linked(t testing.TB, o Options) *link {
	t.Helper()
	l := unlinked(t, o)
	t.Cleanup(func() { check(t, l.Close()) })
	return l
}

// unlinked is one that the test closes.
func unlinked(t testing.TB, o Options) *link {
	t.Helper()
	o.Listen, o.Log = o.Address, slog.New(slog.DiscardHandler)
	l, err := listen(t.Context(), o)
	check(t, err)
	return l
}

func ask(ctx context.Context, l *link, address string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/hello?a=b", strings.NewReader("said"))
	if err != nil {
		return 0, "", err
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestMembersSpeakHTTP(t *testing.T) {
	t.Parallel()
	a := authority(t)
	one, two := linked(t, options(t, a)), linked(t, options(t, a))
	if status, _, err := ask(t.Context(), one, two.address); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("before anybody serves: %d, %v", status, err)
	}
	two.members.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		io.WriteString(w, MemberOf(r)+" "+r.URL.RequestURI()+" "+string(text))
	}))
	want := one.address + " /hello?a=b said"
	if status, text, err := ask(t.Context(), one, two.address); err != nil || status != http.StatusOK || text != want {
		t.Errorf("it answers %d %q, %v, want %q", status, text, err, want)
	}
	if _, text, err := ask(t.Context(), two, two.address); err != nil || !strings.HasPrefix(text, two.address) {
		t.Errorf("it answers itself %q, %v", text, err)
	}
}

// TestALinkEndsWhatItAnswers: closing waits for nobody who does not want to end.
func TestALinkEndsWhatItAnswers(t *testing.T) {
	t.Parallel()
	a := authority(t)
	one, two := linked(t, options(t, a)), unlinked(t, options(t, a))
	asked := make(chan struct{})
	two.members.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	answered, closed := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := ask(t.Context(), one, two.address); answered <- err }()
	select {
	case <-asked:
	case err := <-answered:
		t.Fatal(err)
	}
	go func() { closed <- two.Close() }()
	for _, done := range []chan error{closed, answered} {
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
	}
}

func TestWhoIsNotLetOntoTheLink(t *testing.T) {
	t.Parallel()
	a := authority(t)
	l := linked(t, options(t, a))
	l.members.serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is asked") }))
	stranger := linked(t, options(t, authority(t)))
	if _, _, err := ask(t.Context(), stranger, l.address); err == nil {
		t.Error("a certificate of another cluster is let in")
	} else {
		says(t, err, "greet node "+l.address, "unknown authority")
	}
	here := linked(t, options(t, a))
	elsewhere := options(t, a)
	elsewhere.Identity = issued(t, a, "10.0.0.1:9000")
	_, _, err := ask(t.Context(), here, linked(t, elsewhere).address)
	says(t, err, "the node that answers at "+elsewhere.Address+" is the one of 10.0.0.1:9000")

	pair, pool, err := issued(t, a, "10.0.0.2:9000").keyPair()
	check(t, err)
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"without a certificate":     {&tls.Config{NextProtos: []string{engineProtocol}}, "certificate required"},
		"joining and more":          {&tls.Config{NextProtos: []string{joinProtocol, memberProtocol}}, "certificate required"},
		"another version":           {&tls.Config{NextProtos: []string{"popup-engine/0"}, Certificates: []tls.Certificate{pair}}, errOtherLink.Error()},
		"before there was a choice": {&tls.Config{Certificates: []tls.Certificate{pair}}, "EOF"},
		"an old TLS":                {&tls.Config{NextProtos: []string{engineProtocol}, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}, "version"},
	} {
		c.config.RootCAs, c.config.ServerName = pool, peerName
		conn, err := greet(t.Context(), l.address, c.config)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			err = errors.Join(err, conn.Close())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
