package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"popup/internal/atomicfile"
	"popup/internal/wire"
)

const (
	// bakeTimeout bounds all that a bake installs.
	bakeTimeout = 2 * time.Hour
	// bakeTries is how often a step of a bake is tried: nobody waits for it, and it can be
	// asked for again.
	bakeTries = 5
	// bakeWord is how long the console is told what came of it, until it answers.
	bakeWord = 10 * time.Minute
	// settledTimeout is how long cloud-init may take to be done with what started popup.
	settledTimeout = 2 * time.Minute
)

// errBakes says that nothing is ever served here.
var errBakes = errors.New("this machine becomes an image")

// bake installs all that the app needs, makes the machine one that others can be copies
// of, and tells the console. It returns when the machine can be turned off.
func (a *Appliance) bake(ctx context.Context) error {
	p, err := a.bakePair(ctx)
	if ctx.Err() != nil {
		return nil // told to stop; the next start goes on from here
	}
	if err == nil {
		err = a.wash(ctx)
	}
	said := wire.Baked{Release: string(p.Release), Revision: string(p.Revision)}
	if err != nil {
		a.log.Error("bake", "err", err)
		said = wire.Baked{Failure: clip(err.Error(), longestSentence)}
	}
	a.mu.Lock()
	a.baked, a.ended = &said, a.opts.PowerOff != nil
	a.mu.Unlock()
	a.console.tellBaked(ctx)
	return nil
}

// bakePair is what the image holds: published, so that a start finds it, and never started.
func (a *Appliance) bakePair(parent context.Context) (pair, error) {
	ctx, cancel := context.WithTimeout(parent, bakeTimeout)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	a.giveUp = giveUp
	a.jobs.Go(func() { a.restoreFirst(ctx) })
	p, err := a.install(ctx)
	if err != nil {
		return p, context.Cause(ctx)
	}
	return p, a.publish(p)
}

// identities are what makes a machine the one that it is, and what it was told: on an
// image they would be those of all that start from it. Patterns, below the root.
var identities = []string{
	"etc/ssh/ssh_host_*", "root/.ssh/authorized_keys", "home/*/.ssh/authorized_keys",
	"var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "var/lib/dhcp/*",
	// What starts popup: it comes with the user-data, and must not run before that was read.
	"etc/systemd/system/popup.service", "etc/systemd/system/*.wants/popup.service", "etc/init.d/popup", "etc/runlevels/*/popup",
	"var/log/popup*", "var/log/journal/*", "var/log/cloud-init*",
}

// wash takes from the machine what is not to be on an image. Releases, revisions,
// packages and popup itself stay.
func (a *Appliance) wash(ctx context.Context) error {
	if a.at.root == "/" {
		if err := washCloudInit(ctx); err != nil {
			return err
		}
	}
	err := a.closeTrees()
	for _, pattern := range identities {
		err = errors.Join(err, removeAll(filepath.Join(a.at.root, pattern)))
	}
	for _, dir := range []string{filepath.Dir(a.at.config()), a.at.state(), a.at.home(), a.at.vault(), a.at.certs(), a.at.views(), a.at.journal()} {
		err = errors.Join(err, removeAll(filepath.Join(dir, "*")))
	}
	if a.console != nil {
		err = errors.Join(err, a.console.kept.forget())
	}
	id := filepath.Join(a.at.root, "etc/machine-id")
	if _, missing := os.Lstat(id); missing == nil {
		err = errors.Join(err, atomicfile.Write(id, nil, 0o444)) // empty: the next boot makes one
	}
	if err != nil {
		return fmt.Errorf("clean the machine: %w", err)
	}
	return nil
}

// removeAll removes what a pattern names. It is never a stranger's.
func removeAll(pattern string) error {
	found, err := filepath.Glob(pattern)
	for _, path := range found {
		err = errors.Join(err, removeTree(path))
	}
	return err
}

// washCloudInit has cloud-init forget that it ran, once it is done: user-data is among
// what it keeps.
func washCloudInit(ctx context.Context) error {
	const program = "cloud-init"
	if _, err := exec.LookPath(program); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settledTimeout)
	defer cancel()
	_ = exec.CommandContext(ctx, program, "status", "--wait").Run() // an error of its own run is no reason to keep anything
	out, err := exec.CommandContext(context.WithoutCancel(ctx), program, "clean", "--logs").CombinedOutput()
	if err != nil {
		return fmt.Errorf("clean the machine: cloud-init clean: %w: %s", err, sentence(string(out)))
	}
	return nil
}

// bakedNow is what came of a bake; nil: it is under way, or there is none.
func (a *Appliance) bakedNow() *wire.Baked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.baked
}

// tellBaked tells the console what came of the bake, until it has heard it.
func (l *link) tellBaked(ctx context.Context) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bakeWord)
	defer cancel()
	select {
	case <-l.enrolled:
	case <-ctx.Done():
		return
	}
	for failed := 1; ; failed++ {
		_, err := l.reportOnce(ctx)
		if err == nil || ctx.Err() != nil || pause(ctx, l.waitAfter(failed, err)) != nil {
			return
		}
		l.log.Warn("report the bake", "err", err)
	}
}

// forget removes what is kept from the disk. From here on it is remembered in memory alone.
func (k *kept) forget() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := os.Remove(k.path)
	k.path = ""
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
