package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"popup/internal/sandbox"
)

// TestMain lets scripts run the program as the command popup: it is this test binary.
func TestMain(m *testing.M) {
	if handled, code := sandbox.Main(os.Args); handled {
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){"popup": main})
}
