//go:build dqlite

package dqlite

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// What is spoken on the one port between consoles, told apart in the greeting. The number
// rises where an older popup could not follow.
const (
	engineProtocol = "popup-engine/1"
	memberProtocol = "popup-member/1" // HTTP
	joinProtocol   = "popup-join/1"   // HTTP, of who has no certificate yet
)

// idleTime is how long a connection between members is kept for the next question.
const idleTime = 30 * time.Second

var errOtherLink = errors.New("it speaks another version of the link between consoles: let their versions of popup be next to each other")

// keyPair is what TLS is made of. What a node shows has its authority with it, for those
// who know only that one's fingerprint.
func (i Identity) keyPair() (tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.X509KeyPair(append(bytes.Clone(i.Certificate), i.Authority...), i.Key)
	if err != nil {
		return pair, nil, fmt.Errorf("read this node's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(i.Authority) {
		return pair, nil, errors.New("read the cluster's authority: it is no certificate")
	}
	return pair, pool, nil
}

func serverConfig(pair tls.Certificate, pool *x509.CertPool) *tls.Config {
	members := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{engineProtocol, memberProtocol},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, SessionTicketsDisabled: true}
	joins := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{joinProtocol}, SessionTicketsDisabled: true}
	members.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == joinProtocol {
			return joins, nil
		}
		return nil, nil
	}
	return members
}

func clientConfig(pair tls.Certificate, pool *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: peerName}
}

// otherLink puts what the greeting says of versions into a sentence.
func otherLink(err error) error {
	var alert tls.AlertError
	var remote *net.OpError
	if errors.As(err, &alert) && alert == noSuchProtocol || errors.As(err, &remote) && remote.Op == "remote error" && remote.Err.Error() == noSuchProtocol.Error() {
		return errOtherLink
	}
	return err
}

const noSuchProtocol = tls.AlertError(120)

// isAt says whether who answered at an address is the member that belongs there.
func isAt(address string, state tls.ConnectionState) error {
	if is := state.PeerCertificates[0].Subject.CommonName; is != address {
		return fmt.Errorf("the node that answers at %s is the one of %s", address, is)
	}
	return nil
}

// A door is where the link hands over what speaks HTTP.
type door struct {
	answering
	conns  chan net.Conn
	link   *link
	server *http.Server
}

func newDoor(l *link) *door {
	d := &door{conns: make(chan net.Conn), link: l}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: greetTime, IdleTimeout: 2 * idleTime, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return l.ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, greeting{}, c.(greeted).state)
		}}
	l.all.Go(func() { d.server.Serve(d) }) //nolint:errcheck // it ends with the link
	return d
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.TLS = r.Context().Value(greeting{}).(*tls.ConnectionState)
	switch err := d.link.isBarred(*r.TLS, time.Now()); {
	case errors.Is(err, errBarred):
		http.Error(w, errGone.Error(), http.StatusGone)
		return
	case err != nil:
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	d.answering.ServeHTTP(w, r)
}

// answering passes on what is asked, once there is somebody to answer.
type answering struct{ handler atomic.Pointer[http.Handler] }

func (a *answering) serve(h http.Handler) { a.handler.Store(&h) }

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := a.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "this console is being started: try again", http.StatusServiceUnavailable)
}

// greeted is a connection whose greeting is done: a server of HTTP would look for its own
// name in it, and end what it does not know.
type greeted struct {
	net.Conn
	state *tls.ConnectionState
}

type greeting struct{} // the key of a request's context

// take hands over a connection.
func (d *door) take(conn *tls.Conn) {
	state := conn.ConnectionState()
	select {
	case d.conns <- greeted{conn, &state}:
	case <-d.link.ctx.Done():
		conn.Close() //nolint:errcheck // it is over
	}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.conns:
		return conn, nil
	case <-d.link.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (d *door) Addr() net.Addr { return d.link.listener.Addr() }

// Close is the server's word that it ended.
func (d *door) Close() error { return nil }

// end ends what is being answered; the link's context has ended.
func (d *door) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), deadTime)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		return d.server.Close()
	}
	return nil
}

// rollTime is for how long nobody is let in who is not known to be a member. Who could not
// look for longer has no leader: one that was let in meanwhile may have to vote for one.
const rollTime = 15 * time.Second

var (
	errBarred    = errors.New("it left the cluster, or was removed")
	errNotMember = errors.New("it is none of the members that are known here: if it was just let in, it is known in a moment")
)

// bar lets those in alone who are members, and hangs up on all others.
func (l *link) bar(is roll, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll, l.called = is, now
	for conn, key := range l.passing {
		if l.judge(key, now) != nil {
			conn.Close() //nolint:errcheck // it is over
		}
	}
}

// admit lets one in that just became a member.
func (l *link) admit(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.roll.in != nil {
		l.roll.in[key] = true
	}
}

// isBarred says why whoever came is not let in: errBarred or errNotMember.
func (l *link) isBarred(state tls.ConnectionState, now time.Time) error {
	if len(state.PeerCertificates) == 0 {
		return nil // who joins has no certificate yet
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.judge(keyID(state.PeerCertificates[0].PublicKey), now)
}

func (l *link) judge(key string, now time.Time) error {
	switch {
	case l.roll.gone[key]:
		return errBarred
	case l.roll.in != nil && !l.roll.in[key] && key != l.id && now.Sub(l.called) < rollTime:
		return errNotMember
	}
	return nil
}

// note has a member's connection be known, until it is called back.
func (l *link) note(conn *tls.Conn) (forget func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing[conn] = keyID(conn.ConnectionState().PeerCertificates[0].PublicKey)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.passing, conn)
	}
}
