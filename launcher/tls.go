package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"popup/internal/certs"
	"popup/internal/wire"
)

// certs is where keys and certificates are kept.
func (l layout) certs() string { return filepath.Join(l.lib(), "certs") }

// An https answers the plan's domains over https. A nil one is a plan without
// domains: its methods then leave plain http as it is.
type https struct {
	certs  *certs.Certs
	server *http.Server
	served chan struct{} // closed when the server has returned
}

// openHTTPS opens the second address where the plan names domains, and asks for
// their certificates without waiting for them. Plain http is answered at address.
func (a *Appliance) openHTTPS(address net.Addr) (*https, error) {
	serve := a.opts.Plan.Serve
	if len(serve.Domains) == 0 {
		return nil, nil
	}
	if a.opts.Listen != "" { // somebody tries the machine's plan elsewhere
		a.note("https is not answered for %s: that is done where the plan says, and popup was told another place to listen", strings.Join(serve.Domains, ", "))
		return nil, nil
	}
	if err := serve.Check(); err != nil {
		return nil, fmt.Errorf("read the plan's serve: %w", err)
	}
	domains := make([]string, len(serve.Domains))
	for i, given := range serve.Domains {
		domain, err := wire.ParseDomain(given)
		if err != nil {
			return nil, fmt.Errorf("read the plan's serve: %w", err)
		}
		domains[i] = domain
	}
	plain, ok := address.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("answer https: plain http is answered on %s, where no authority can ask", address)
	}
	listener, err := listenTLS(firstOf(serve.ListenTLS, ":443"))
	if err != nil {
		return nil, err
	}
	c, err := certs.New(certs.Options{Domains: domains, Email: serve.Email, Dir: a.at.certs(), Directory: serve.ACMEDirectory,
		HTTP: plain, HTTPSPort: listener.Addr().(*net.TCPAddr).Port, Logger: a.log})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h := &https{certs: c, served: make(chan struct{}), server: &http.Server{Handler: a.front, TLSConfig: c.TLSConfig(),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}}
	go func() {
		defer close(h.served)
		if err := h.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("https ended; plain http goes on", "err", err)
		}
	}()
	c.Manage(a.ctx)
	return h, nil
}

func listenTLS(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s for https: another program has this port; stop it, or take the domains out of the plan", address)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("listen on %s for https: only root may listen there; write a port above 1023 as the plan's listen_tls", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %s for https: %w", address, err)
	}
	return l, nil
}

// plain is the handler of plain http, where next answers until https does.
func (h *https) plain(next http.Handler) http.Handler {
	if h == nil {
		return next
	}
	return h.certs.Plain(next)
}

// problems are sentences about certificates, for the status.
func (h *https) problems() []string {
	if h == nil {
		return nil
	}
	return h.certs.Problems()
}

// shutdown waits for requests under way.
func (h *https) shutdown(ctx context.Context) error {
	if h == nil {
		return nil
	}
	return h.server.Shutdown(ctx)
}

// cut ends the connections that are left.
func (h *https) cut() error {
	if h == nil {
		return nil
	}
	return h.server.Close()
}

// close ends everything that is left.
func (h *https) close() error {
	if h == nil {
		return nil
	}
	err := h.server.Close()
	<-h.served
	h.certs.Close()
	return err
}
