package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// layout names every path below an instance's root. Nothing else in this
// package joins a path onto the root by hand.
type layout struct{ root string }

func (l layout) config() string   { return filepath.Join(l.root, "etc/popup/config.yaml") }
func (l layout) binary() string   { return filepath.Join(l.root, "etc/popup/binary") }
func (l layout) secrets() string  { return filepath.Join(l.root, "etc/popup/secrets.json") }
func (l layout) lib() string      { return filepath.Join(l.root, "var/lib/popup") }
func (l layout) releases() string { return filepath.Join(l.lib(), "service") }
func (l layout) data() string     { return filepath.Join(l.lib(), "data") }
func (l layout) views() string    { return filepath.Join(l.lib(), "views") }
func (l layout) state() string    { return filepath.Join(l.lib(), "state") }
func (l layout) home() string     { return filepath.Join(l.lib(), "home") }
func (l layout) temp() string     { return filepath.Join(l.home(), "tmp") }
func (l layout) vault() string    { return filepath.Join(l.lib(), "vault") }
func (l layout) journal() string  { return filepath.Join(l.lib(), "journal") }
func (l layout) run() string      { return filepath.Join(l.root, "run/popup") }
func (l layout) records() string  { return filepath.Join(l.run(), "processes") }
func (l layout) lock() string     { return filepath.Join(l.run(), "lock") }

// formatting is there while the disk for the state is formatted.
func (l layout) formatting() string { return filepath.Join(l.lib(), "formatting") }

// nextSecrets are what secrets become when a state that is tried is kept.
func (l layout) nextSecrets() string {
	return filepath.Join(filepath.Dir(l.secrets()), "secrets-next.json")
}

// create makes the folders that are popup's alone. Those the app's user must
// reach (state, home, sockets) are made where that user is known.
func (l layout) create() error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{
		{l.lib(), 0o755}, // first: the app's user must be able to enter what is made on the way
		{filepath.Dir(filepath.Dir(l.config())), 0o755},
		{filepath.Dir(l.config()), 0o700},
		{l.releases(), 0o755},
		{l.data(), 0o755},
		{l.views(), 0o755},
		{l.vault(), 0o700},
		{l.journal(), 0o700},
		{l.run(), 0o755},
		{l.records(), 0o700},
	} {
		err := os.MkdirAll(d.path, d.mode)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("create %s: you may not write there; run popup with sudo, or give --root a folder of your own", d.path)
		}
		if err != nil {
			return fmt.Errorf("create %s: %w", d.path, err)
		}
	}
	return nil
}

// errInUse says that another popup holds the root.
var errInUse = errors.New("another popup is running on this root; stop it, or give --root another folder")

// acquire takes the root for this process. The lock goes with the process, so a
// kill leaves nothing to clear.
func (l layout) acquire() (release func() error, err error) {
	f, err := os.OpenFile(l.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", l.root, errInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", l.root, err)
	}
	return f.Close, nil
}
