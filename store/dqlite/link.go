//go:build dqlite

package dqlite

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/app"
	"golang.org/x/sys/unix"
)

const (
	// greetTime bounds a connection's beginning.
	greetTime = 5 * time.Second
	// answerTime bounds one answer where nothing else does: a node whose disk stalls keeps
	// its connections, and says nothing.
	answerTime = 10 * time.Second
	// deadTime is when a connection ends whose other end is not there any more.
	deadTime = 2 * time.Second
)

// A link is how nodes reach each other: mutual TLS outside, and inside the socket of the
// engine, which takes connections of this process alone.
type link struct {
	address  string // this node's
	socket   string
	server   *tls.Config
	client   *tls.Config
	listener net.Listener
	log      *slog.Logger

	ctx   context.Context // ends with close
	close func()
	all   sync.WaitGroup
}

func listen(ctx context.Context, o Options) (*link, error) {
	pair, pool, err := o.Identity.keyPair()
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{KeepAliveConfig: keepAlive}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for the other nodes: %w", o.Listen, err)
	}
	l := &link{address: o.Address, socket: "@popup-" + rand.Text(), listener: listener, log: o.Log}
	l.server, l.client = app.SimpleTLSConfig(pair, pool)
	l.server.MinVersion, l.client.MinVersion = tls.VersionTLS13, tls.VersionTLS13
	l.ctx, l.close = context.WithCancel(context.Background())
	l.all.Go(l.accept)
	return l, nil
}

// Close ends all that came in.
func (l *link) Close() error {
	l.close()
	err := l.listener.Close()
	l.all.Wait()
	return err
}

func (l *link) accept() {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many are open; some will be closed
			l.log.Warn("take a node's connection", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-l.ctx.Done():
				return
			}
		}
		l.all.Go(func() {
			if err := l.take(conn); err != nil {
				l.log.Log(l.ctx, severity(err), "refuse a node's connection", "from", conn.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// severity tells who may not come in from who went away: nodes that look for the leader
// ask all, and go on with the first that answers.
func severity(err error) slog.Level {
	var network net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || errors.As(err, &network) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// take passes on between who came and the engine until either ends.
func (l *link) take(conn net.Conn) (err error) {
	defer conn.Close() //nolint:errcheck // it is over
	endEarly(conn)
	remote := tls.Server(conn, l.server)
	ctx, cancel := context.WithTimeout(l.ctx, greetTime)
	defer cancel()
	if err := remote.HandshakeContext(ctx); err != nil {
		return err
	}
	local, err := (&net.Dialer{}).DialContext(ctx, "unix", l.socket)
	if err != nil {
		return err
	}
	defer local.Close() //nolint:errcheck // it is over
	done := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		io.Copy(to, from) //nolint:errcheck // what ends it is for the two that talk
		done <- struct{}{}
	}
	l.all.Go(func() { pass(remote, local) })
	l.all.Go(func() { pass(local, remote) })
	select {
	case <-done:
	case <-l.ctx.Done():
	}
	return nil
}

// dial reaches a node. The error tells a certificate of another cluster.
func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	if address == l.address {
		return (&net.Dialer{}).DialContext(ctx, "unix", l.socket)
	}
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	endEarly(conn)
	remote := tls.Client(conn, l.client)
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if err := remote.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("greet node %s: %w", address, err), conn.Close())
	}
	return outgoing{remote}, nil
}

// outgoing hides what a connection is made of: the engine would set its own, longer, times.
type outgoing struct{ net.Conn }

// ask is dial for questions, which are answered in time or never.
func (l *link) ask(ctx context.Context, address string) (net.Conn, error) {
	conn, err := l.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &answered{Conn: conn}, nil
}

// answered bounds the time from a question to its answer.
type answered struct {
	net.Conn
	bounded bool // by who asks
}

func (a *answered) SetDeadline(at time.Time) error {
	a.bounded = !at.IsZero()
	return a.Conn.SetDeadline(at)
}

func (a *answered) Write(p []byte) (int, error) {
	if !a.bounded {
		if err := a.Conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return 0, err
		}
	}
	return a.Conn.Write(p)
}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: deadTime / 2, Interval: deadTime / 2, Count: 2}

// endEarly ends a connection on which nothing gets through.
func endEarly(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { //nolint:errcheck // without it, it only takes longer
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadTime.Milliseconds())) //nolint:errcheck // as above
		})
	}
}

// keyPair is what TLS is made of.
func (i Identity) keyPair() (tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.X509KeyPair(i.Certificate, i.Key)
	if err != nil {
		return pair, nil, fmt.Errorf("read this node's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(i.Authority) {
		return pair, nil, errors.New("read the cluster's authority: it is no certificate")
	}
	return pair, pool, nil
}
