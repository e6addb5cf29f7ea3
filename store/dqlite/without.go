//go:build !dqlite

package dqlite

import "context"

const built = false

func open(context.Context, Options) (*Cluster, error) { return nil, ErrMissing }
