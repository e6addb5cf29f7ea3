//go:build !dqlite

package dqlite

import "context"

func open(context.Context, Options) (*Cluster, error) { return nil, ErrMissing }
