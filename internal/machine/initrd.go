package machine

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// diskModules is what a kernel needs to find the disk of a VM and read it.
var diskModules = []string{"virtio_pci", "virtio_blk", "ext4"}

// initScript is all the first file system does: load, mount, hand over. The
// modules are in the order they need each other.
const initScript = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do /bin/busybox usleep 50000; tries=$((tries+1)); done
/bin/busybox mount -t ext4 -o rw /dev/vda /root || { echo "popup: the disk cannot be mounted"; /bin/busybox poweroff -f; }
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
`

// writeInitrd writes the first file system of the kernel version found in root,
// compressed.
func writeInitrd(w io.Writer, root *os.Root, version string) error {
	modules, err := readModules(root, version)
	if err != nil {
		return err
	}
	order, err := modules.order(diskModules)
	if err != nil {
		return err
	}
	shell, err := readBounded(root, "bin/busybox", maxModule)
	if err != nil {
		return fmt.Errorf("read busybox: %w", err)
	}
	packed := gzip.NewWriter(w)
	archive := &cpioWriter{w: packed}
	for _, dir := range []string{"bin", "dev", "root", "modules"} {
		err = errors.Join(err, archive.folder(dir))
	}
	err = errors.Join(err, archive.file("bin/busybox", 0o755, shell), archive.file("init", 0o755, []byte(initScript)))
	var names strings.Builder
	for _, module := range order {
		data, readErr := readBounded(root, path.Join(modules.dir, module), maxModule)
		if readErr != nil {
			return fmt.Errorf("read kernel module: %w", readErr)
		}
		fmt.Fprintln(&names, path.Base(module))
		err = errors.Join(err, archive.file("modules/"+path.Base(module), 0o644, data))
	}
	err = errors.Join(err, archive.file("modules/order", 0o644, []byte(names.String())), archive.close())
	return errors.Join(err, packed.Close())
}

// maxModule bounds what is read of one file into memory.
const maxModule = 64 << 20

// kernelModules are a kernel's loadable modules and what each needs.
type kernelModules struct {
	dir     string
	needs   map[string][]string // path to the paths it needs
	paths   map[string]string   // name to path
	builtin map[string]bool     // names that need no loading
}

func readModules(root *os.Root, version string) (kernelModules, error) {
	m := kernelModules{dir: path.Join("lib/modules", version)}
	dep, err := readBounded(root, path.Join(m.dir, "modules.dep"), maxModule)
	if err != nil {
		return m, fmt.Errorf("read kernel modules: %w", err)
	}
	builtin, err := readBounded(root, path.Join(m.dir, "modules.builtin"), maxModule)
	if err != nil {
		return m, fmt.Errorf("read kernel modules: %w", err)
	}
	m.parse(dep, builtin)
	return m, nil
}

func (m *kernelModules) parse(dep, builtin []byte) {
	m.needs, m.paths, m.builtin = map[string][]string{}, map[string]string{}, map[string]bool{}
	for line := range bytes.Lines(dep) {
		file, needs, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if !ok {
			continue
		}
		m.needs[file] = strings.Fields(needs)
		m.paths[moduleName(file)] = file
	}
	for line := range bytes.Lines(builtin) {
		m.builtin[moduleName(strings.TrimSpace(string(line)))] = true
	}
}

// moduleName is a module's name as people write it: kernel/fs/ext4/ext4.ko is ext4.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// order returns the paths of the modules and all they need, each after what it
// needs.
func (m kernelModules) order(names []string) ([]string, error) {
	var order []string
	seen := map[string]bool{} // also ends a circle, which a kernel does not have
	var add func(file string)
	add = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		for _, need := range slices.Backward(m.needs[file]) {
			add(need)
		}
		order = append(order, file)
	}
	for _, name := range names {
		file, ok := m.paths[name]
		switch {
		case ok && !strings.HasSuffix(file, ".ko"):
			return nil, fmt.Errorf("kernel module %s is compressed: this kernel cannot be booted yet", file)
		case ok:
			add(file)
		case !m.builtin[name]:
			return nil, fmt.Errorf("kernel module %s is not in the image's kernel", name)
		}
	}
	return order, nil
}
