// Command popup turns a bare machine into a live copy of an open-source web service.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"popup/internal/sandbox"
)

func main() {
	if handled, code := sandbox.Main(os.Args); handled {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
