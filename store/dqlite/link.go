//go:build dqlite

package dqlite

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

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
// engine, which takes connections of this process alone, or the HTTP between members. Who
// is to join speaks a protocol of its own on the same port.
type link struct {
	address  string // this node's
	socket   string
	server   *tls.Config
	client   *tls.Config
	listener net.Listener
	members  *door
	joins    *door
	http     *http.Client
	id       string // of this node's key
	log      *slog.Logger

	mu      sync.Mutex
	roll    roll                // who is a member; in is nil where that is not known
	called  time.Time           // when that was so
	passing map[net.Conn]string // who speaks to the engine, and by which key

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
	l.ctx, l.close = context.WithCancel(context.Background())
	l.server, l.client = serverConfig(pair, pool), clientConfig(pair, pool)
	l.id, l.passing = keyID(pair.Leaf.PublicKey), map[net.Conn]string{}
	l.members, l.joins = newDoor(l), newDoor(l)
	l.http = &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return l.greet(ctx, address, memberProtocol)
		},
		IdleConnTimeout: idleTime, DisableCompression: true}}
	l.all.Go(l.accept)
	return l, nil
}

// Close ends all that came in.
func (l *link) Close() error {
	l.close()
	err := errors.Join(l.listener.Close(), l.members.end(), l.joins.end())
	l.http.CloseIdleConnections()
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

// take hands who came to whom they want to speak to.
func (l *link) take(conn net.Conn) error {
	endEarly(conn)
	remote := tls.Server(conn, l.server)
	ctx, cancel := context.WithTimeout(l.ctx, greetTime)
	defer cancel()
	if err := remote.HandshakeContext(ctx); err != nil {
		return errors.Join(err, conn.Close())
	}
	switch protocol := remote.ConnectionState().NegotiatedProtocol; protocol {
	case engineProtocol:
		if err := l.isBarred(remote.ConnectionState(), time.Now()); err != nil {
			return errors.Join(err, conn.Close())
		}
		return l.pass(ctx, remote)
	case memberProtocol:
		l.members.take(remote)
	case joinProtocol:
		l.joins.take(remote)
	default:
		return errors.Join(errOtherLink, conn.Close())
	}
	return nil
}

// pass passes on between who came and the engine until either ends.
func (l *link) pass(ctx context.Context, remote *tls.Conn) error {
	defer remote.Close() //nolint:errcheck // it is over
	defer l.note(remote)()
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

// dial reaches a node's engine. The error tells a certificate of another cluster.
func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	if address == l.address {
		return (&net.Dialer{}).DialContext(ctx, "unix", l.socket)
	}
	conn, err := l.greet(ctx, address, engineProtocol)
	if err != nil {
		return nil, err
	}
	return outgoing{conn}, nil
}

// greet reaches a node, to speak a protocol.
func (l *link) greet(ctx context.Context, address, protocol string) (net.Conn, error) {
	config := l.client.Clone()
	config.NextProtos = []string{protocol}
	config.VerifyConnection = func(state tls.ConnectionState) error { return isAt(address, state) }
	return greet(ctx, address, config)
}

func greet(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	endEarly(conn)
	remote := tls.Client(conn, config)
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if err := remote.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("greet node %s: %w", address, otherLink(err)), conn.Close())
	}
	return remote, nil
}

// outgoing hides what a connection is made of: the engine would set its own, longer, times.
type outgoing struct{ net.Conn }

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
