package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// diskSlack is the free space of a VM's disk. The disk is sparse: it costs
// nothing until it is written.
const diskSlack = 4 << 30

// makeDisk makes the kernel, the first file system and the disk of an image
// from its root file system.
func makeDisk(ctx context.Context, image *Image, log io.Writer) (err error) {
	root, err := os.OpenRoot(image.Root())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	version, err := kernelVersion(root)
	if err != nil {
		return err
	}
	kernel, err := readBounded(root, path.Join("boot", "vmlinuz-"+version), maxModule)
	if err != nil {
		return fmt.Errorf("read kernel: %w", err)
	}
	if err := os.WriteFile(image.Kernel(), kernel, 0o644); err != nil {
		return fmt.Errorf("write kernel: %w", err)
	}
	if err := writeFile(image.Initrd(), func(w io.Writer) error { return writeInitrd(w, root, version) }); err != nil {
		return fmt.Errorf("make the first file system: %w", err)
	}
	size, err := treeSize(root)
	if err != nil {
		return fmt.Errorf("measure root file system: %w", err)
	}
	cmd := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "popup-root", "-m", "0",
		"-d", image.Root(), image.Disk(), fmt.Sprintf("%dk", (size+size/4+diskSlack)>>10))
	return runLogged(cmd, log)
}

// kernelVersion finds the one kernel an image has.
func kernelVersion(root *os.Root) (string, error) {
	dir, err := root.Open("boot")
	if err != nil {
		return "", fmt.Errorf("find kernel: %w", err)
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return "", fmt.Errorf("find kernel: %w", err)
	}
	var versions []string
	for _, name := range names {
		if version, ok := strings.CutPrefix(name, "vmlinuz-"); ok {
			versions = append(versions, version)
		}
	}
	if len(versions) != 1 {
		return "", fmt.Errorf("find kernel: the image has %d kernels in /boot, one was expected", len(versions))
	}
	return versions[0], nil
}

// treeSize adds up the files of a tree, each rounded up to a block.
func treeSize(root *os.Root) (int64, error) {
	const block = 4096
	var size int64
	err := fs.WalkDir(root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size += block
		if info.Mode().IsRegular() {
			size += (info.Size() + block - 1) / block * block
		}
		return nil
	})
	return size, err
}

// readBounded reads a file that is at most limit bytes long.
func readBounded(root *os.Root, name string, limit int64) (data []byte, err error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(name), limit)
	}
	return data, err
}

// writeFile makes a file of what write writes.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
