//go:build vm

package e2e

import (
	"testing"

	"popup/internal/machine"
)

// TestVMCloud is that with a machine that believes it is on EC2, and ends alone.
func TestVMCloud(t *testing.T) {
	t.Parallel()
	image(t)
	guestCloud{name: "vm", host: "127.0.0.1", guest: machine.HostFromEC2, boot: vmBoot, alone: true}.lives(t)
}
