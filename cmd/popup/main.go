// Command popup turns a bare machine into a live copy of an open-source web service.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"popup/cloud/container"
	"popup/cloud/vm"
	"popup/internal/machine"
	"popup/internal/sandbox"
	"popup/internal/sqlitecopy"
)

func main() {
	for _, hidden := range []func([]string) (bool, int){sandbox.Main, sqlitecopy.Main, machine.Main, container.Main, vm.Main} {
		if handled, code := hidden(os.Args); handled {
			os.Exit(code)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills, unless secondSignal takes it
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// secondSignal returns a channel that is closed by the signal after the one that
// ended ctx, which then does not kill; a third does. release gives it back.
func secondSignal(ctx context.Context) (second <-chan struct{}, release func()) {
	signals, closed, left := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for seen := ctx.Err() != nil; ; seen = true {
			select {
			case <-left:
				return
			case <-signals:
			}
			if seen {
				signal.Stop(signals)
				close(closed)
				return
			}
		}
	}()
	return closed, func() { signal.Stop(signals); close(left) }
}
