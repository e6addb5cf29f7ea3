//go:build !dqlite

package dqlite

import (
	"context"
	"io"
)

const built = false

func open(context.Context, Options) (*Cluster, error) { return nil, ErrMissing }

func recoverAlone(context.Context, string) (Recovered, error) { return Recovered{}, ErrMissing }

func backupStopped(context.Context, string, io.Writer) error { return ErrMissing }

func join(context.Context, Options, Joining) error { return ErrMissing }
