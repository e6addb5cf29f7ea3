package machine

import (
	"bufio"
	"context"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// trialTime is how long a kernel may take to print its first line under KVM; it
// takes a tenth of that.
const trialTime = 4 * time.Second

// accelerator finds out, once for an image, whether KVM boots its kernel. That
// /dev/kvm opens and makes a machine does not say so: within some virtual
// machines it does both, and the kernel never starts.
func accelerator(ctx context.Context, image *Image) string {
	image.trial.Do(func() { image.kvm = trialBoot(ctx, image) })
	if image.kvm {
		return accelKVM
	}
	return accelTCG
}

// trialBoot says whether the kernel printed a line.
func trialBoot(ctx context.Context, image *Image) bool {
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemuProgram,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", accelKVM, "-cpu", "host", "-m", "256",
		"-kernel", image.Kernel(), "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	spoke := false
	for lines := bufio.NewScanner(out); !spoke && lines.Scan(); {
		spoke = strings.Contains(lines.Text(), "Linux version")
	}
	cancel()
	_ = cmd.Wait() // killed, or without KVM
	return spoke
}
