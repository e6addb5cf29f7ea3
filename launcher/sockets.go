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
	if len(l.run())+1+len(longestSocket) <= maxSocketPath {
		return l.run(), nil
	}
	if dir := m.get().Sockets; dir != "" {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() && ownedByUs(info) {
			return dir, nil
		}
	}
	dir, err := os.MkdirTemp("", "popup-")
	if err != nil {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	return dir, m.update(func(f *facts) { f.Sockets = dir })
}

// ControlSocket returns the path of the control socket of the appliance on root.
func ControlSocket(root string) (string, error) {
	l := layout{root: root}
	if len(l.run())+1+len(longestSocket) <= maxSocketPath {
		return filepath.Join(l.run(), "control/control.sock"), nil
	}
	if _, err := os.Stat(l.journal()); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find control socket: %s is not the root of an instance", root)
	}
	m, err := openMemory(l.journal(), "")
	if err != nil {
		return "", err
	}
	return filepath.Join(m.get().Sockets, "control/control.sock"), nil
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
