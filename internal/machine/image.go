package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// imageRecipe is part of every image's key: raise it when the same packages
// should make another image.
const imageRecipe = "2"

// basePackages is what every image has.
var basePackages = []string{
	"ca-certificates", "cloud-init", "curl", "dbus", "iproute2", "isc-dhcp-client", "nftables", "python3",
	"systemd-sysv", "systemd-timesyncd",
}

// kernelPackages is what an image has besides when it should also boot in a VM.
var kernelPackages = []string{"busybox-static", "kmod", "udev"}

// An ImageConfig says what image is wanted.
type ImageConfig struct {
	Suite    string   // the release of Debian; empty: this machine's
	Packages []string // besides systemd, cloud-init and what they need
	// Kernel adds what a VM needs: a kernel, a first file system, and a disk.
	Kernel bool
	// Cache is the folder images are kept in, at most keptImages of them; empty:
	// popup/machine in the user's cache folder.
	Cache string
	// Log is given what the tools print while they build; nil: nobody.
	Log io.Writer
}

// An Image is a built root file system. It may be used by any number of
// machines, of any number of programs, at once: nothing writes to it.
type Image struct {
	dir  string
	lock *os.File // shared: no other program prunes the image while it is open

	trial sync.Once // of KVM
	kvm   bool
}

// BuildImage returns the image of a configuration: from the cache, or built
// from the packages this machine's own apt knows. An image is found under its
// name only when it is whole. Building needs root, takes minutes, and happens
// once however many ask; the caller closes the image after its last machine.
func BuildImage(ctx context.Context, cfg ImageConfig) (*Image, error) {
	recipe, err := newRecipe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("build machine image: %w", err)
	}
	cache, err := openImageCache(cfg.Cache)
	if err != nil {
		return nil, fmt.Errorf("build machine image: %w", err)
	}
	image, err := cache.image(ctx, recipe.key(), recipe.build)
	if err != nil {
		return nil, fmt.Errorf("build machine image: %w", err)
	}
	return image, nil
}

// OpenImage opens an image that was built, by its folder, and keeps it from being
// removed until it is closed.
func OpenImage(dir string) (*Image, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open machine image: %w; it was removed, or never built", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("open machine image: it is being removed: %w", err), lock.Close())
	}
	if _, err := os.Stat(filepath.Join(dir, "root")); err != nil { // it may have been renamed before it was held
		return nil, errors.Join(fmt.Errorf("open machine image: %w; it was removed, or never built", err), lock.Close())
	}
	return &Image{dir: dir, lock: lock}, nil
}

// Dir is the folder that OpenImage finds the image by.
func (i *Image) Dir() string { return i.dir }

// Root is the folder that holds the image's root file system.
func (i *Image) Root() string { return filepath.Join(i.dir, "root") }

// Kernel, Initrd and Disk are the files a VM starts from; they are there when
// the image was built with a kernel.
func (i *Image) Kernel() string { return filepath.Join(i.dir, "vmlinuz") }

// Initrd is the first file system of a VM.
func (i *Image) Initrd() string { return filepath.Join(i.dir, "initrd") }

// Disk is the root file system as a raw disk without partitions.
func (i *Image) Disk() string { return filepath.Join(i.dir, "disk.ext4") }

// Close lets others remove the image.
func (i *Image) Close() error { return i.lock.Close() }

// A recipe is everything that decides what an image becomes.
type recipe struct {
	release  release
	packages []string
	sources  []string
	options  []string
	kernel   bool
	log      io.Writer
}

func newRecipe(ctx context.Context, cfg ImageConfig) (recipe, error) {
	rel, err := thisRelease()
	if cfg.Suite != "" {
		rel.suite, err = cfg.Suite, nil
	}
	if err != nil {
		return recipe{}, err
	}
	if err := checkWords("package", cfg.Packages); err != nil {
		return recipe{}, err
	}
	if err := checkWords("suite", []string{rel.suite}); err != nil {
		return recipe{}, err
	}
	r := recipe{release: rel, kernel: cfg.Kernel, log: cfg.Log}
	if r.log == nil {
		r.log = io.Discard
	}
	r.packages = slices.Concat(basePackages, cfg.Packages)
	if cfg.Kernel {
		r.packages = append(slices.Concat(r.packages, kernelPackages), rel.kernelPackage())
	}
	slices.Sort(r.packages)
	r.packages = slices.Compact(r.packages)
	if r.sources, err = aptSources(ctx, rel.suite); err != nil {
		return recipe{}, err
	}
	r.options, err = aptOptions(ctx)
	return r, err
}

// checkWords refuses what would be read as an option or as more than one name.
func checkWords(what string, words []string) error {
	var problems []error
	for _, word := range words {
		if word == "" || strings.HasPrefix(word, "-") || strings.ContainsAny(word, " ,\t\n/\"") {
			problems = append(problems, fmt.Errorf("%s %q is not a name", what, word))
		}
	}
	return errors.Join(problems...)
}

// key names the image: the same inputs, the same name.
func (r recipe) key() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q %v", imageRecipe, r.release, r.packages, r.sources, r.kernel)
	return r.release.suite + "-" + hex.EncodeToString(sum.Sum(nil))[:16]
}

// build fills dir, which is empty, with the image.
func (r recipe) build(ctx context.Context, dir string) error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root: the files of an image have owners")
	}
	image := &Image{dir: dir}
	if err := r.bootstrap(ctx, image.Root()); err != nil {
		return err
	}
	if err := settle(image.Root()); err != nil {
		return fmt.Errorf("settle root file system: %w", err)
	}
	if r.kernel {
		return makeDisk(ctx, image, r.log)
	}
	return nil
}

// bootstrap installs the packages into root.
func (r recipe) bootstrap(ctx context.Context, root string) error {
	args := []string{
		"--variant=minbase", "--format=directory", "--mode=root",
		"--include=" + strings.Join(r.packages, ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*/*",
	}
	for _, option := range r.options {
		args = append(args, "--aptopt="+option)
	}
	args = append(args, r.release.suite, root, "-")
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Stdin = strings.NewReader(strings.Join(r.sources, "\n") + "\n")
	return runLogged(cmd, r.log)
}

// runLogged runs a tool in a process group of its own, which ends with the
// context; it tells the log what the tool prints, and the error its last words.
func runLogged(cmd *exec.Cmd, log io.Writer) error {
	tail := &tailWriter{limit: 4 << 10}
	cmd.Stdout = io.MultiWriter(tail, log)
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	// Mmdebstrap unmounts what it mounted when it is told to end; the kill comes
	// to whoever does not.
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return commandError(cmd, err, tail.bytes)
	}
	return nil
}

// A tailWriter keeps the last bytes written to it.
type tailWriter struct {
	limit int
	bytes []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if over := len(t.bytes) - t.limit; over > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
	}
	return len(p), nil
}
