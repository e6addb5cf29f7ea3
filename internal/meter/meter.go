// Package meter counts what a task costs on the wire: requests, and the bytes of
// its connections, those of TLS included.
package meter

import (
	"context"
	"net"
	"sync/atomic"
)

// A Dialer makes connections, as net.Dialer.DialContext does.
type Dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// A Cost is what was counted since the beginning.
type Cost struct{ Requests, BytesIn, BytesOut int64 }

// A Meter adds up. The zero value is ready, a nil one counts nothing, and several
// goroutines may use it.
type Meter struct{ requests, in, out atomic.Int64 }

// Dial makes connections by next and counts what goes through them.
func (m *Meter) Dial(next Dialer) Dialer {
	if m == nil {
		return next
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{c, m}, nil
	}
}

// Requests adds n requests.
func (m *Meter) Requests(n int64) {
	if m != nil {
		m.requests.Add(n)
	}
}

// Read is what was counted so far.
func (m *Meter) Read() Cost {
	if m == nil {
		return Cost{}
	}
	return Cost{Requests: m.requests.Load(), BytesIn: m.in.Load(), BytesOut: m.out.Load()}
}

type conn struct {
	net.Conn
	m *Meter
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.m.in.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.m.out.Add(int64(n))
	return n, err
}
