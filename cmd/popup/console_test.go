package main

import (
	"context"
	"errors"
	"net"
	"testing"
)

// Apps are where the console is, but for one that is on this machine alone: they must not
// be handed its cookies.
func TestAppsHost(t *testing.T) {
	apart := "127.0.0.2"
	if l, err := net.Listen("tcp", apart+":0"); err != nil {
		apart = "127.0.0.1" // not every system has more than one
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ given, console, want string }{
		{"", "127.0.0.1", apart},
		{"", "10.1.2.3", "10.1.2.3"},
		{"", "2001:db8::1", "2001:db8::1"},
		{"10.9.9.9", "127.0.0.1", "10.9.9.9"},
		{"127.0.0.1", "10.1.2.3", "127.0.0.1"},
	} {
		if got := (cloudFlags{host: c.given}).appsHost(c.console); got != c.want {
			t.Errorf("beside a console on %s, with %q given, apps listen on %s, want %s", c.console, c.given, got, c.want)
		}
	}
}

// Told to stop, a console ends well; and where a part of it fails, the others end with it.
func TestTogether(t *testing.T) {
	waits := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := together(ctx, waits, waits); err != nil {
		t.Errorf("told to stop: %v", err)
	}
	broken := errors.New("the listener broke")
	if err := together(t.Context(), waits, func(context.Context) error { return broken }); !errors.Is(err, broken) || errors.Is(err, context.Canceled) {
		t.Errorf("a part failed: %v", err)
	}
}
