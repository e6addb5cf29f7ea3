package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"popup/internal/atomicfile"
)

// formatTimeout bounds mkfs, which leaves most of its work to the kernel.
const formatTimeout = 10 * time.Minute

// ready sees to it that the disk has a file system to mount, or refuses it.
func (v Volume) ready(ctx context.Context, d disk, holds string) error {
	began, err := v.began()
	if err != nil {
		return err
	}
	switch {
	case holds == holdsNothing && !v.Fresh:
		return v.refuse("it is blank, though it should hold the state of an earlier instance; nothing was written to it",
			"look whether it is the right volume; where it is, the state is gone: launch with a new one, and restore a backup")
	case v.Fresh && (holds == holdsNothing || began && (holds == holdsExt4 || holds == holdsData)):
		return v.format(ctx, d)
	case holds != holdsExt4:
		return v.refuse("it holds "+holds+", which is not what popup makes (ext4 on the whole disk); nothing was written to it",
			"look whether it is the right volume; where nobody needs what is on it, launch with a new one")
	case began:
		return v.end() // of an earlier plan, which called it fresh
	}
	return nil
}

// began says whether the volume was being formatted when popup was stopped.
func (v Volume) began() (bool, error) {
	text, err := os.ReadFile(v.Began)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &Error{ID: v.ID, Why: "it cannot be told whether it was being formatted", Err: err}
	}
	return strings.TrimSpace(string(text)) == v.ID, nil
}

// end says that the volume was formatted. That is on this machine's disk before anybody
// writes to the volume.
func (v Volume) end() error {
	err := os.Remove(v.Began)
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(v.Began))
	}
	if err != nil {
		return &Error{ID: v.ID, Why: "it cannot be written down that it was formatted", Err: err}
	}
	return nil
}

func (v Volume) format(ctx context.Context, d disk) error {
	if err := atomicfile.Write(v.Began, []byte(v.ID+"\n"), 0o600); err != nil {
		return &Error{ID: v.ID, Why: "it cannot be written down that it is formatted", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, formatTimeout)
	defer cancel()
	// -F: it asks whether the whole disk is meant. Nothing is kept back for root, who keeps nothing there.
	cmd := exec.CommandContext(ctx, "mkfs.ext4", "-F", "-q", "-m", "0", "-L", "popup-state", d.path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return fmt.Errorf("format the volume %s: %w", v.ID, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return &Error{ID: v.ID, Why: "there is no mkfs.ext4 on this machine", Hint: "install e2fsprogs"}
	case err != nil:
		return &Error{ID: v.ID, Why: "it cannot be formatted", Err: fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))}
	}
	return v.end()
}
