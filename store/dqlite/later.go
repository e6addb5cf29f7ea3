//go:build dqlite

package dqlite

import (
	"context"
	"net"
	"time"
)

const (
	// reachTime is how long a node is tried to be reached before it is tried anew: after a
	// cut, the kernel alone would wait for several seconds.
	reachTime = time.Second
	// againTime is how soon that is at the earliest.
	againTime = 100 * time.Millisecond
)

// A later is a connection to a node that is still being made. The engine makes one at a
// time, and waits for each: one that is cut off would keep it for seconds from asking
// those that are there for their votes.
type later struct {
	made  chan struct{} // closed when the rest is known
	conn  net.Conn
	err   error
	close func()
}

// dialLater is dial for the engine. It answers at once.
func (l *link) dialLater(_ context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, reachTime) // the engine ends its own at once
	c := &later{made: make(chan struct{}), close: cancel}
	l.all.Go(func() {
		defer close(c.made)
		defer cancel()
		again := time.After(againTime)
		if c.conn, c.err = l.dial(ctx, address); c.err != nil {
			select {
			case <-again:
			case <-ctx.Done():
			}
		}
	})
	return c, nil
}

func (c *later) Read(p []byte) (int, error) {
	if <-c.made; c.err != nil {
		return 0, c.err
	}
	return c.conn.Read(p)
}

func (c *later) Write(p []byte) (int, error) {
	if <-c.made; c.err != nil {
		return 0, c.err
	}
	return c.conn.Write(p)
}

// Close does not wait for a connection that nobody wants any more.
func (c *later) Close() error {
	c.close()
	if <-c.made; c.err != nil {
		return nil
	}
	return c.conn.Close()
}

func (c *later) SetDeadline(at time.Time) error {
	if <-c.made; c.err != nil {
		return c.err
	}
	return c.conn.SetDeadline(at)
}

func (c *later) SetReadDeadline(at time.Time) error {
	if <-c.made; c.err != nil {
		return c.err
	}
	return c.conn.SetReadDeadline(at)
}

func (c *later) SetWriteDeadline(at time.Time) error {
	if <-c.made; c.err != nil {
		return c.err
	}
	return c.conn.SetWriteDeadline(at)
}

func (c *later) LocalAddr() net.Addr  { return nowhere{} }
func (c *later) RemoteAddr() net.Addr { return nowhere{} }

// nowhere is the address of what is not there yet.
type nowhere struct{}

func (nowhere) Network() string { return "tcp" }
func (nowhere) String() string  { return "" }
