package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSocketPath is what fits in a sockaddr_un, less its closing zero.
const maxSocketPath = 107

// longestSocket is the longest name a socket gets below the run folder.
const longestSocket = "control/control.sock.0123456789"

// socketDir returns the folder for an instance's sockets: the run folder, or,
// where its path is too long for a socket address, a short one that is recorded
// in the root so that `popup status --root` finds it.
func socketDir(l layout, m *memory) (string, error) {
	if fitsSocket(l.run()) {
		return l.run(), nil
	}
	if dir := m.get().Sockets; dir != "" {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() && ownedByUs(info) {
			return dir, nil
		}
	}
	parent := os.TempDir()
	if !fitsSocket(filepath.Join(parent, "popup-s-0123456789")) {
		parent = "/tmp" // the short one, whatever TMPDIR says
	}
	dir, err := os.MkdirTemp(parent, "popup-s-")
	if err != nil {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	return dir, m.update(func(f *facts) { f.Sockets = dir })
}

func fitsSocket(dir string) bool { return len(dir)+1+len(longestSocket) <= maxSocketPath }

// removeSockets removes the folder of an instance's sockets where it is not in the root.
func removeSockets(l layout, dir string) error {
	if dir == "" || dir == l.run() {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove socket folder: %w", err)
	}
	return nil
}

// ControlSocket returns the path of the control socket of the appliance on root.
// It writes nothing. The error is ErrNotRunning where no appliance can be.
func ControlSocket(root string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("find control socket: %w", err)
	}
	l := layout{root: root}
	if fitsSocket(l.run()) {
		return filepath.Join(l.run(), "control/control.sock"), nil
	}
	dir, err := recordedSockets(l.journal())
	if err != nil {
		return "", fmt.Errorf("find control socket of %s: %w", root, err)
	}
	return filepath.Join(dir, "control/control.sock"), nil
}

// recordedSockets returns the folder that an instance recorded. Once it stopped,
// anybody may make a folder of that name, which is not the instance's.
func recordedSockets(journal string) (string, error) {
	f, recorded, err := readFacts(journal)
	if errors.Is(err, fs.ErrNotExist) || err == nil && f.Sockets == "" {
		return "", ErrNotRunning
	}
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(f.Sockets)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", ErrNotRunning
	case err != nil:
		return "", err
	case !info.IsDir() || !sameOwner(info, recorded):
		return "", fmt.Errorf("%s is not its folder: %w", f.Sockets, ErrNotRunning)
	}
	return f.Sockets, nil
}

// prepareSockets makes an empty folder for sockets that only its owner may enter:
// uid and gid, or for -1 ourselves.
func prepareSockets(dir string, uid, gid int) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("prepare sockets: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("prepare sockets: %w", err)
	}
	if err := os.Lchown(dir, uid, gid); err != nil {
		return "", fmt.Errorf("prepare sockets: %w", err)
	}
	return dir, nil
}
