// Package web is the console over HTTP: pages for people, an API for programs and for
// instances, and a stream of what changes.
//
// It decides nothing. Each route takes what was sent apart, asks one use case of the
// console for it, as the actor who sent it, and shows the answer. What a route shows is
// of types that are made for it: what the console keeps is never written out as it is.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/console/catalogue"
	"popup/templates"
	"popup/web/oidc"
)

// Options are what the console is served with.
type Options struct {
	Console   *console.Console
	Catalogue *catalogue.Catalogue
	URL       string // at which browsers and instances reach it, without a / at its end
	Pin       string // of its certificate; empty: public authorities vouch for it
	Version   string
	Clouds    []string // by name, to be shown
	Cloud     string   // the one that is used where none is asked for
	// Binaries are the files that instances download, by the SHA-256 of each in hex.
	Binaries map[string]string
	// Elsewhere opens one that another console serves, or the part of it that a header
	// Range names; console.ErrNotFound where none has it. Nil: there are no others.
	Elsewhere func(ctx context.Context, sum, part string) (*http.Response, error)
	// Provider signs people in by way of an OpenID provider; nil: there is none.
	Provider *oidc.Provider
	Log      *slog.Logger // nil: nothing is logged
}

// A Server answers for one console. Its methods may be called from several goroutines.
type Server struct {
	opts      Options
	console   *console.Console
	catalogue *catalogue.Catalogue
	log       *slog.Logger
	volumes   bool     // a cloud keeps some
	bakers    []string // clouds that make images, by name
	secure    bool     // browsers reach it by https
	origins   *http.CrossOriginProtection
	routes    []route
	openapi   []byte
	handler   http.Handler
	shared    sharedParts
	trouble   trouble
	passing   chan struct{}   // holds one for each download from another console
	claimed   atomic.Bool     // once it is, it stays so
	leaving   context.Context // of streams: it ends when the console stops
	leave     context.CancelFunc
}

// New makes a server; it listens to nothing yet.
func New(opts Options) (*Server, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	at, err := url.Parse(opts.URL)
	if err != nil || at.Host == "" || at.Path != "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("serve the console: its URL %q is no address of a server; write it like https://console.example.org", opts.URL)
	}
	s := &Server{opts: opts, console: opts.Console, catalogue: opts.Catalogue, log: opts.Log, secure: at.Scheme == "https", origins: http.NewCrossOriginProtection(),
		passing: make(chan struct{}, mostPassing)}
	if err := s.origins.AddTrustedOrigin(at.Scheme + "://" + at.Host); err != nil {
		return nil, fmt.Errorf("serve the console at %s: %w", opts.URL, err)
	}
	templates.ReadConsole()
	for _, list := range [][]route{openRoutes, appRoutes, launchRoutes, bakeRoutes, eventRoutes, archiveRoutes, handRoutes, fleetRoutes, peopleRoutes, houseRoutes,
		streamRoutes, instanceRoutes, pageRoutes, imageRoutes} {
		s.routes = append(s.routes, list...)
	}
	if s.openapi, err = document(s.routes, opts.Version); err != nil {
		return nil, fmt.Errorf("write the document of the API: %w", err)
	}
	s.volumes, s.bakers = opts.Console.KeepsVolumes(), opts.Console.Bakers()
	s.leaving, s.leave = context.WithCancel(context.Background())
	s.handler = s.build()
	return s, nil
}

// Handler answers all of the console.
func (s *Server) Handler() http.Handler { return s.handler }

// build makes a router of the list of routes, and of what each request goes through.
func (s *Server) build() http.Handler {
	gin.SetMode(gin.ReleaseMode) // it prints otherwise
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false // an instance follows no redirects, and its signature is over one path
	engine.MaxMultipartMemory = maxForm
	_ = engine.SetTrustedProxies(nil) // nil is always fine
	engine.Use(s.trace, s.survive, s.protect, s.open, s.identify)
	for _, r := range s.routes {
		engine.Handle(r.method, r.path, s.admit(r), s.run(r))
		if r.method == http.MethodGet && !r.stream {
			engine.Handle(http.MethodHead, r.path, s.admit(r), s.run(r))
		}
	}
	engine.NoRoute(func(c *gin.Context) { s.fail(c, console.ErrNotFound) })
	engine.NoMethod(func(c *gin.Context) { s.fail(c, errMethod) })
	return compress(engine)
}

// open answers nothing until somebody owns this console, but the page on which one
// becomes its owner.
func (s *Server) open(c *gin.Context) {
	path := c.Request.URL.Path
	if s.claimed.Load() || path == "/healthz" || strings.HasPrefix(path, "/claim/") || strings.HasPrefix(path, "/assets/") {
		return
	}
	claimed, err := s.console.Claimed(c.Request.Context())
	switch {
	case err != nil:
		s.fail(c, err)
	case !claimed:
		c.Header("Retry-After", "30")
		c.Header("Cache-Control", "no-store")
		c.String(http.StatusServiceUnavailable, "not claimed yet: whoever started this console has the link\n")
		c.Abort()
	default:
		s.claimed.Store(true)
	}
}

// healthTime is how long a balancer waits for whoever leads, where nobody does.
const healthTime = 3 * time.Second

// health says that the process answers; what it knows nobody learns from it.
func (s *Server) health(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), healthTime)
	defer cancel()
	if err := s.console.CheckStore(ctx); err != nil && !errors.Is(err, context.Canceled) {
		s.fail(c, err)
		return
	}
	c.String(http.StatusOK, "ok\n")
}
