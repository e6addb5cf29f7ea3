//go:build dqlite

package dqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/canonical/go-dqlite/v3/client"
	"github.com/canonical/go-dqlite/v3/driver"
)

// checkpointTime bounds how long a checkpoint is waited for.
const checkpointTime = 10 * time.Second

// A connector makes connections that wait for a checkpoint. While the leader writes one,
// it refuses any statement, even in the middle of a transaction, before it looks at it:
// so saying the same once more is safe, a COMMIT included.
type connector struct {
	node *node
	name string // of the database
}

func (c connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	leader, err := c.node.seek(ctx)
	if err != nil {
		return nil, err
	}
	made, err := c.to(leader).Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{made.(*driver.Conn), func(ctx context.Context) error { return c.node.confirm(ctx, leader) }}, nil
}

// to reaches the database at one node alone: the driver would follow that one's word to
// another. The store tries again itself, and knows for how long.
func (c connector) to(address string) sqldriver.Connector {
	dial := func(ctx context.Context, other string) (net.Conn, error) {
		if other != address {
			return nil, fmt.Errorf("ask %s: it does not lead any more, %s does", address, other)
		}
		return c.node.ask(ctx, address)
	}
	d, _ := driver.New(only(address), driver.WithDialFunc(dial), driver.WithLogFunc(logTo(c.node.log)), // it never fails
		driver.WithConnectionBackoffFactor(seekPeriod), driver.WithConnectionBackoffCap(seekPeriod), driver.WithRetryLimit(1), driver.WithAttemptTimeout(askTime))
	made, _ := d.OpenConnector(c.name) // as little
	return made
}

func (c connector) Driver() sqldriver.Driver { return c.to("").Driver() }

// only is a node as a list of one.
type only string

func (o only) Get(context.Context) ([]client.NodeInfo, error) {
	return []client.NodeInfo{{Address: string(o)}}, nil
}

func (o only) Set(context.Context, []client.NodeInfo) error {
	return errors.New("who leads is found, not set")
}

type conn struct {
	*driver.Conn
	leads func(context.Context) error // whether whom it is to leads, still
}

// Close ends it, which hanging up on who led may have done before.
func (c *conn) Close() error {
	if err := c.Conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	result, err := afterCheckpoint(ctx, func() (sqldriver.Result, error) { return c.Conn.ExecContext(ctx, query, args) })
	if err == nil && strings.HasPrefix(query, "BEGIN") {
		if err = c.leads(ctx); err != nil {
			err = errors.Join(sqldriver.ErrBadConn, err) // else it would be taken again
		}
	}
	return result, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	return afterCheckpoint(ctx, func() (sqldriver.Rows, error) {
		rows, err := c.Conn.QueryContext(ctx, query, args)
		if isGarbled(query, err) {
			err = errors.Join(sqldriver.ErrBadConn, err)
		}
		return rows, err
	})
}

// isGarbled says whether an error tells of a leader that was lost in the middle of a
// query: it is written behind the names of the columns, and then the first of them is read
// as what happened.
func isGarbled(query string, err error) bool {
	var e driver.Error
	return errors.As(err, &e) && e.Message != "" && strings.HasPrefix(query, "SELECT "+e.Message)
}

func afterCheckpoint[T any](ctx context.Context, say func() (T, error)) (T, error) {
	deadline := time.Now().Add(checkpointTime)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		answer, err := say()
		if !isCheckpoint(err) || time.Now().After(deadline) {
			return answer, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return answer, errors.Join(ctx.Err(), err)
		}
	}
}

func isCheckpoint(err error) bool {
	var e driver.Error
	return errors.As(err, &e) && e.Code == driver.ErrBusy && strings.Contains(e.Message, "checkpoint")
}
