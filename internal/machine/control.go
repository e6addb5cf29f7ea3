package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// execEnv is the whole environment of what Exec runs.
var execEnv = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "LANG=C.UTF-8",
}

// maxExecOutput bounds what is kept of an Exec's output.
const maxExecOutput = 4 << 20

// Exec runs a program in the container, as its root, and returns what it
// printed on both its outputs, cut after 4 MiB. The error of a program that
// ended badly holds an *exec.ExitError. When ctx ends, the program is killed.
func (c *Container) Exec(ctx context.Context, argv ...string) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("run in container: no program was named")
	}
	c.mu.Lock()
	init, state := c.init, c.state
	c.mu.Unlock()
	if init == nil {
		return "", fmt.Errorf("run %s in container %s: the container is %s", argv[0], c.cfg.Name, state)
	}
	enter := []string{"--target", strconv.Itoa(init.Pid), "--mount", "--root", "--wd", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, argv...)...)
	cmd.Env = execEnv
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second // for what was left behind with our output open
	out := &headWriter{limit: maxExecOutput}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return out.String(), fmt.Errorf("run %s in container %s: %w", argv[0], c.cfg.Name, err)
	}
	return out.String(), nil
}

// A headWriter keeps the first bytes written to it.
type headWriter struct {
	bytes.Buffer
	limit int
}

func (h *headWriter) Write(p []byte) (int, error) {
	if room := h.limit - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Reboot asks systemd to reboot, and returns when the container was started
// again, which is before it has booted. Files stay, as on a disk.
func (c *Container) Reboot(ctx context.Context) error {
	c.mu.Lock()
	booted := c.booted
	c.mu.Unlock()
	return c.signal(ctx, "reboot", signalReboot, booted)
}

// PowerOff asks systemd to turn the container off, and returns when it is.
func (c *Container) PowerOff(ctx context.Context) error {
	return c.signal(ctx, "power off", signalPowerOff, nil)
}

// signal sends init a signal until the container's end, or what it should lead
// to.
func (c *Container) signal(ctx context.Context, what string, sig unix.Signal, reached <-chan struct{}) error {
	tick := time.NewTicker(signalEvery)
	defer tick.Stop()
	for {
		c.mu.Lock()
		if c.init != nil {
			// The error is that init has ended, which supervise is about to see.
			_ = c.init.Signal(sig)
		}
		c.mu.Unlock()
		select {
		case <-reached:
			return nil
		case <-c.done:
			state, failure := c.State()
			if state == PoweredOff && reached == nil {
				return nil
			}
			return errors.Join(fmt.Errorf("%s container %s: it is %s", what, c.cfg.Name, state), failure)
		case <-ctx.Done():
			return fmt.Errorf("%s container %s: %w", what, c.cfg.Name, ctx.Err())
		case <-tick.C:
		}
	}
}

// Close kills what runs in the container and removes all it consisted of:
// processes, mounts, control groups, its files, and its link when it had one of
// its own. Closing twice is harmless.
func (c *Container) Close() error {
	c.mu.Lock()
	again := c.closing
	c.closing = true
	if c.init != nil {
		_ = c.init.Kill() // it may have ended; supervise waits for it
	}
	c.mu.Unlock()
	<-c.done
	if again {
		return nil
	}
	c.mu.Lock()
	c.state = Closed
	c.mu.Unlock()
	if err := c.release(); err != nil {
		return fmt.Errorf("close container %s: %w", c.cfg.Name, err)
	}
	return nil
}

// release undoes prepare, however far it came.
func (c *Container) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	var err error
	if c.cgroup != nil {
		err = c.cgroup.remove(ctx)
	}
	if c.ours != nil {
		err = errors.Join(err, c.guests.Close(), c.ours.Close())
		<-c.copied
	}
	if c.ownLink {
		err = errors.Join(err, c.cfg.Link.Close())
	}
	if c.dir != "" && !c.cfg.Kept {
		for _, dir := range layers {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.dir, dir)))
		}
	}
	if c.ownDir {
		err = errors.Join(err, os.Remove(c.cfg.Dir))
	}
	return err
}
