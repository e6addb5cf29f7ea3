package web

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/store/storetest/embedded"
)

// A site is a console on a real store, with a cloud in memory, that answers on a real
// port. Its own loops run.
type site struct {
	*Server
	cloud *memoryCloud
	url   string
	doc   *contract
	who   map[string]credential
	otto  console.Actor
	vera  string // her id
	fair  string // otto's event
	other string // oda's
}

// A credential is what somebody's requests carry.
type credential struct{ token, cookie string }

// nobody did not sign in.
const nobody = "nobody"

const password = "correct horse battery"

// newSite starts one that nobody owns yet. change sees the options before.
func newSite(t testing.TB, change ...func(*Options)) *site {
	t.Helper()
	store, err := embedded.Open(context.WithoutCancel(t.Context()), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s, _ := serve(t, parts{store: store, keys: newKeys(t), cloud: newMemoryCloud(), url: "http://" + listener.Addr().String(), listener: listener}, change...)
	return s
}

func newMemoryCloud() *memoryCloud {
	return &memoryCloud{machines: map[string]console.Machine{}, data: map[string][]byte{}}
}

func newKeys(t testing.TB) *console.Keys {
	t.Helper()
	keys, err := console.OpenKeys(filepath.Join(t.TempDir(), "keys"))
	must(t, err)
	return keys
}

// parts are what a console of a test is made of.
type parts struct {
	name     string // among several on one store; empty: it has it alone
	cluster  console.Cluster
	store    console.Store
	keys     *console.Keys
	cloud    *memoryCloud
	oven     console.Cloud // one more; nil: none
	url      string
	listener net.Listener
	now      func() time.Time // nil: the machine's
}

// serve starts one. stop ends it before its test does.
func serve(t testing.TB, p parts, change ...func(*Options)) (s *site, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	offered, err := catalogue.Open(ctx, catalogue.Options{Dir: t.TempDir()})
	must(t, err)
	s = &site{cloud: p.cloud, url: p.url, who: map[string]credential{nobody: {}}}
	opts := console.Options{Name: p.name, Now: p.now, Cluster: p.cluster, Store: p.store, Keys: p.keys, Catalogue: offered, Clouds: map[string]console.Cloud{"local": s.cloud, "paid": pricedCloud{s.cloud}}, Cloud: "local", Reach: map[string]console.Reach{"local": {SameMachine: true}, "paid": {SameMachine: true}}, URL: s.url, Version: "test"}
	opts.Binary.URLs = []string{s.url + "/download/" + strings.Repeat("e", 64)}
	opts.Binary.SHA256 = map[string]string{"amd64": strings.Repeat("e", 64)}
	if p.oven != nil {
		opts.Clouds["oven"], opts.Reach["oven"] = p.oven, console.Reach{SameMachine: true}
	}
	c, err := console.New(ctx, opts)
	must(t, err)
	served := Options{Console: c, Catalogue: offered, URL: s.url, Version: "test", Clouds: []string{"local"}, Cloud: "local"}
	for _, f := range change {
		f(&served)
	}
	s.Server, err = New(served)
	must(t, err)
	s.doc = newContract(t, s.openapi)
	server := &httptest.Server{Listener: p.listener, Config: &http.Server{Handler: s.Handler()}}
	server.Start()
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		s.leave()
		server.CloseClientConnections()
		server.Close()
		cancel()
		running.Wait()
		must(t, offered.Close())
	})
	t.Cleanup(stop)
	return s, stop
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newOwnedSite starts one with people of every role, and an event of otto's and one of oda's.
func newOwnedSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	s.settle(t)
	return s
}

// settle has people of every role come to one that nobody owns yet.
func (s *site) settle(t testing.TB) {
	t.Helper()
	s.claim(t)
	olga := s.actorOf(t, "olga")
	for name, role := range map[string]console.Role{"otto": console.RoleOrganiser, "oda": console.RoleOrganiser, "vera": console.RoleViewer} {
		_, _, err := s.console.AddPerson(t.Context(), olga, console.NewPerson{Name: name, Role: role, Password: password})
		must(t, err)
		session, err := s.console.SignIn(t.Context(), name, password, "192.0.2.1")
		must(t, err)
		s.enter(t, name, session)
	}
	s.otto, s.vera = s.actorOf(t, "otto"), s.actorOf(t, "vera").ID
	_, reader, err := s.console.AddToken(t.Context(), s.otto, console.NewToken{Title: "reads", Reads: true})
	must(t, err)
	s.who["reader"] = credential{token: reader}
	s.fair = s.launchAs(t, "otto", "Our fair")
	s.other = s.launchAs(t, "oda", "Their feast")
	for helper, event := range map[string]string{"helper": s.fair, "stranger": s.other} {
		by := map[string]string{s.fair: "otto", s.other: "oda"}[event]
		_, address, err := s.console.AddLink(t.Context(), s.actorOf(t, by), event, "Hedi")
		must(t, err)
		secret := address[strings.LastIndexByte(address, '/')+1:]
		s.who[helper] = credential{token: secret, cookie: secret}
	}
}

// claim has olga own the console.
func (s *site) claim(t testing.TB) {
	t.Helper()
	link, err := s.console.ClaimLink(t.Context())
	must(t, err)
	session, err := s.console.Claim(t.Context(), link[strings.LastIndexByte(link, '/')+1:], console.NewPerson{Name: "olga", Password: password})
	must(t, err)
	s.enter(t, "olga", session)
}

func (s *site) enter(t testing.TB, name string, session console.Session) {
	t.Helper()
	actor, err := s.console.ActorOfSession(t.Context(), session.Secret)
	must(t, err)
	_, token, err := s.console.AddToken(t.Context(), actor, console.NewToken{Title: "tests"})
	must(t, err)
	s.who[name] = credential{token: token, cookie: session.Secret}
}

func (s *site) actorOf(t testing.TB, name string) console.Actor {
	t.Helper()
	actor, err := s.console.ActorOfSession(t.Context(), s.who[name].cookie)
	must(t, err)
	return actor
}

// launchAs launches a notice within a new event, and returns the event's id.
func (s *site) launchAs(t testing.TB, name, title string) string {
	t.Helper()
	o, err := s.console.Launch(t.Context(), s.actorOf(t, name), console.LaunchRequest{
		Event: console.EventRequest{Title: title, Webhook: "https://hooks.example.org/T0P-SECRET-PATH"}, Apps: []console.AppRequest{{App: testApp}}}, title)
	must(t, err)
	return o.Event
}

// testApp is a shipped one that asks for nothing.
const testApp apps.AppID = "notice"

// instanceOf waits until an event's instance has a machine.
func (s *site) instanceOf(t testing.TB, event string) string {
	t.Helper()
	var id string
	eventually(t, "has a machine", func() bool {
		page, err := s.console.Instances(t.Context(), console.System, console.InstanceQuery{})
		must(t, err)
		for _, i := range page.Instances {
			if i.Event == event && s.cloud.userData(i.ID) != "" {
				id = i.ID
			}
		}
		return id != ""
	})
	return id
}

// eventually waits until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never %s", what)
		}
	}
}

// An exchange is a request and what was answered.
type exchange struct {
	status int
	header http.Header
	body   string
}

// A request is one of a test's. Zero fields are left out.
type request struct {
	who          string
	method, path string
	body         string // JSON to the API, else a form
	header       map[string]string
	browser      bool // with a cookie, and what forms carry
}

// do sends a request, and holds what the API answers against its document.
func (s *site) do(t testing.TB, r request) exchange {
	t.Helper()
	got := s.send(t, r)
	if strings.HasPrefix(r.path, "/api/") && r.method != http.MethodHead {
		s.doc.check(t, r, got)
	}
	return got
}

// send sends a request.
func (s *site) send(t testing.TB, r request) exchange {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.url+r.path, strings.NewReader(r.body))
	must(t, err)
	known, there := s.who[r.who]
	if r.who != "" && !there {
		t.Fatalf("nobody is called %q", r.who)
	}
	api := strings.HasPrefix(r.path, "/api/")
	if r.body != "" || r.method != http.MethodGet && !api {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if api {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	if r.browser && known.cookie != "" {
		req.AddCookie(&http.Cookie{Name: s.cookieName(cookieSession), Value: known.cookie})
		req.Header.Set(headerCSRF, tokenFor(known.cookie))
	} else if known.token != "" {
		req.Header.Set("Authorization", "Bearer "+known.token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := direct.RoundTrip(req) // redirects are looked at
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.Close { // which the client takes out of the headers
		resp.Header.Set("Connection", "close")
	}
	return exchange{resp.StatusCode, resp.Header, string(body)}
}

var direct = &http.Transport{}

// tokenFor is what the forms of a browser carry, with a pad of zeros.
func tokenFor(secret string) string {
	mac := formMAC(secret)
	return base64.RawURLEncoding.EncodeToString(append(make([]byte, len(mac)), mac...))
}

// decode reads what was answered.
func decode[T any](t testing.TB, got exchange, status int) (v T) {
	t.Helper()
	if got.status != status {
		t.Fatalf("answered %d, not %d: %s", got.status, status, got.body)
	}
	must(t, json.Unmarshal([]byte(got.body), &v))
	return v
}

// A device is an instance that enrols and reports, with a real key.
type device struct {
	s    *site
	id   string
	key  ed25519.PrivateKey
	seq  uint64
	once string
}

var tokenInData = regexp.MustCompile(`token: "?([A-Za-z0-9_-]{16,})`)

func (s *site) device(t testing.TB, id string) *device {
	t.Helper()
	found := tokenInData.FindStringSubmatch(s.cloud.userData(id))
	if found == nil {
		t.Fatalf("the user-data of %s has no token", id)
	}
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	return &device{s: s, id: id, key: key, once: found[1]}
}

// send signs and sends a body.
func (d *device) send(t testing.TB, path string, body []byte, header map[string]string) exchange {
	t.Helper()
	signed := map[string]string{wire.HeaderInstance: d.id,
		wire.HeaderSignature: wire.Signed{Method: http.MethodPost, Path: path, Instance: d.id, Body: body}.Sign(d.key)}
	for name, value := range header {
		signed[name] = value
	}
	return d.s.do(t, request{method: http.MethodPost, path: path, body: string(body), header: signed})
}

func (d *device) enrol(t testing.TB) exchange {
	t.Helper()
	body, err := json.Marshal(wire.Enrolment{Version: wire.TalkVersion, Instance: d.id, Token: d.once, Key: d.key.Public().(ed25519.PublicKey), Popup: "test", Arch: "amd64"})
	must(t, err)
	return d.send(t, wire.PathEnrol, body, nil)
}

func (d *device) report(t testing.TB) exchange {
	t.Helper()
	d.seq++
	body, err := json.Marshal(wire.Report{Version: wire.TalkVersion, Seq: d.seq, Time: time.Now(), Since: time.Now(), Popup: "test", App: string(testApp), URL: "http://127.0.0.1:1",
		Live: true, Healthy: true, Serving: &wire.Serving{Release: strings.Repeat("a", 40)},
		Phases: []wire.Phase{{Name: "start", State: "done", Since: time.Now()}}})
	must(t, err)
	return d.send(t, wire.PathReport, body, nil)
}
