// Package vm is a cloud of virtual machines on this one: each is a Debian with a kernel,
// memory and a disk of its own under QEMU, which boots from the very user-data that any
// other cloud would be given, in the belief that it is on EC2. Where KVM boots a kernel
// it takes seconds, and else, emulated, a minute or more.
//
// A machine reaches whatever this one does, also what listens on 127.0.0.1 here (see
// machine.HostFromEC2), and the console by a socket.
//
// Beside what package kept lays out, there are
//
//	DIR/.identity/                 what the machines' identity documents are signed with
//	DIR/.run/ID/                   the sockets of a machine: its metadata, its keeper's
//	DIR/.volumes/ID, ID.json       volumes, and whose they are
//	DIR/.snapshots/ID, ID.json     what was on disks
//	DIR/INSTANCE/disk.qcow2        what the machine changed of its image
//	DIR/INSTANCE/image             a link to that image
//	DIR/INSTANCE/status.json, console.log    of its keeper
package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/identity"
	"popup/internal/machine"
)

// Options are what the cloud is opened with.
type Options struct {
	Dir   string // where the machines are; it is made
	Popup string // the popup program; empty: the one that runs
	Host  string // the address of this machine that apps are reached at; empty: 127.0.0.1
	// Image is what machines start from. Its Kernel and its Log mean nothing.
	Image machine.ImageConfig
	// NoCloud tells machines what to be by a disk, and they believe in no cloud. None of
	// them can be identified then.
	NoCloud bool
	Log     *slog.Logger
}

const (
	verb = "popup:vm-keeper"
	// appPort is the port of a machine that is reached from here.
	appPort = 80
	// region is the one that machines find themselves in. No other cloud has it, so that
	// none vouches for them.
	region = "local"
	// leastMemory is what a machine has at least, in MiB.
	leastMemory = 1024
	leastCPUs   = 2
	// systemMemory is what the system has besides what an app asks for, in MiB.
	systemMemory = 512
	// ownDisk is how much of its disk is free in a machine that asks for nothing, in bytes.
	ownDisk = 4 << 30
)

// The names in the cloud's folder; the package comment says what they are.
const (
	runDir          = ".run"
	keyName         = ".identity/key"
	certificateName = ".identity/certificate.pem"
)

// A Cloud keeps virtual machines on this one. It implements console.Cloud,
// console.Identifier, console.VolumeKeeper and console.Holder.
type Cloud struct {
	*kept.Cloud
	kept.Way
	kind      *kind
	verifier  *identity.Verifier
	downloads *kept.Downloads
}

// Open takes the folder for this console, adopts the machines that run in it, and has
// the others started again. The error says so where another console has the folder.
func Open(opts Options) (*Cloud, error) {
	folder := kept.Options{Dir: opts.Dir, Popup: opts.Popup, Host: opts.Host, Grace: kept.KeeperGrace, Log: opts.Log}
	if err := folder.Complete(); err != nil {
		return nil, err
	}
	opts.Image.Kernel = true
	image, err := kept.CompleteImage(opts.Image)
	if err != nil {
		return nil, err
	}
	if err := kept.CheckSocket(filepath.Join(runOf(folder.Dir, kept.NewID()), controlName)); err != nil {
		return nil, err
	}
	k := &kind{Options: folder, image: image, noCloud: opts.NoCloud, volumes: volumes{dir: folder.Dir}}
	cloud, err := kept.Open(folder, k)
	if err != nil {
		return nil, err
	}
	c := &Cloud{Cloud: cloud, Way: kept.Way{Dir: folder.Dir, Host: consoleHost(opts.NoCloud)}, kind: k}
	k.volumes.held = cloud.Machines
	err = errors.Join(k.volumes.shelf().open(), k.volumes.snapshots().open())
	if err == nil {
		c.verifier, err = openIdentity(folder.Dir)
	}
	if err == nil {
		c.downloads, err = c.Offer(opts.Popup)
	}
	if err != nil {
		return nil, errors.Join(err, cloud.Close())
	}
	return c, nil
}

// Close lets go of the folder; the machines go on. Closing twice is fine.
func (c *Cloud) Close() error { return errors.Join(c.downloads.Close(), c.Cloud.Close()) }

// openIdentity makes what machines are vouched for with, once, and reads it.
func openIdentity(dir string) (*identity.Verifier, error) {
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(keyName)), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the machines' identity: %w", err)
	}
	signer, err := machine.KeptIdentitySigner(filepath.Join(dir, keyName), time.Now())
	if err != nil {
		return nil, err
	}
	certificate := filepath.Join(dir, certificateName)
	if err := atomicfile.Write(certificate, signer.CertificatePEM(), 0o600); err != nil {
		return nil, fmt.Errorf("write certificate of the machines' identity: %w", err)
	}
	return identity.Open(filepath.Dir(certificate))
}

// consoleHost is the address in its own network at which a machine has the console.
func consoleHost(noCloud bool) string {
	if noCloud {
		return machine.FreeFromNoCloud
	}
	return machine.FreeFromEC2
}

// A kind is a kept.Kind of virtual machines.
type kind struct {
	kept.Options
	image   machine.ImageConfig
	noCloud bool
	volumes volumes
}

// A made is what a machine was made of, in its record.
type made struct {
	Image   machine.ImageConfig
	NoCloud bool
	Memory  int   // MiB
	CPUs    int   // of its own
	Disk    int64 // free for the app, in bytes
}

// Check implements kept.Kind.
func (k *kind) Check(ctx context.Context, l console.Launch) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("the image of virtual machines is built as root; start the console as root, or launch on another cloud"))
	}
	if runtime.GOARCH != "amd64" {
		errs = append(errs, fmt.Errorf("virtual machines are made for amd64 only, and this machine is %s; launch on another cloud", runtime.GOARCH))
	}
	if n := len(l.UserData); !k.noCloud && n > machine.MaxUserData {
		errs = append(errs, fmt.Errorf("its user-data has %d bytes, and the metadata service tells at most %d; leave settings out that are as they were", n, machine.MaxUserData))
	}
	errs = append(errs, checkMemory(k.makeOf(l).Memory), k.volumes.check(l.Volume), kept.CheckMachine(k.Options, l, map[string]string{
		"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "apt-get": "apt"}))
	return errors.Join(errs...)
}

// makeOf is what a machine for l is made of.
func (k *kind) makeOf(l console.Launch) made {
	return made{
		Image: k.image, NoCloud: k.noCloud,
		Memory: max(leastMemory, int(l.Memory>>20)+systemMemory),
		CPUs:   max(leastCPUs, int(math.Ceil(l.CPUs))),
		Disk:   l.Disk,
	}
}

// Fill implements kept.Kind.
func (k *kind) Fill(m *kept.Machine, l console.Launch) (err error) {
	m.ID = kept.NewID()
	if m.Made, err = json.Marshal(k.makeOf(l)); err != nil {
		return err
	}
	return k.volumes.offer(l.Volume, l.Instance)
}

// Open implements kept.Kind.
func (k *kind) Open(m kept.Machine) kept.Program { return kept.Keeping(m, k.Popup, verb) }

// Clear implements kept.Kind. QEMU ends with its keeper, and its sockets are here.
func (k *kind) Clear(path string) error {
	r, err := kept.ReadRecord(path)
	if err != nil || r.ID != filepath.Base(r.ID) {
		return nil // it never ran, or nobody can tell
	}
	return os.RemoveAll(runOf(k.Dir, r.ID))
}

// runOf is the folder for the sockets of a machine.
func runOf(dir, id string) string { return filepath.Join(dir, runDir, id) }

// Main is the main of a machine's keeper, when args, a whole os.Args, are of one. It
// must be called before anything else in main. When handled is true the caller exits
// with code.
func Main(args []string) (handled bool, code int) { return kept.Keep(args, verb, start) }

// checkMemory says whether this machine has that much memory left, in MiB.
func checkMemory(want int) error {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("look at this machine's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var free int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &free); n == 1 && free>>10 < want {
			return fmt.Errorf("this machine has %d MB of memory left, and a virtual machine for it wants %d MB; end instances that are over, or launch on another cloud", free>>10, want)
		}
	}
	return nil
}
