// Package container is a cloud of system containers: each of its machines is a Debian
// with systemd and cloud-init in namespaces of this one, which boots from the very
// user-data that any other cloud would be given, within seconds.
//
// It isolates less than a virtual machine: the kernel and the clock are this machine's,
// and the root of a container is this machine's root less what would reach the hardware.
// An app is not root there, and is confined as on any machine; but whoever does become
// root in a container can become root here, by what is in a /proc that they mount anew.
// A container reaches this machine alone: by a link of two, over which it has the
// console, and repositories that are served on it.
//
// Beside what package kept lays out, a machine's folder has
//
//	upper/, work/, root/        what the container wrote, and where that is mounted by it
//	image                       a link to the image under it
//	link                        the name of its link, which is made again with its addresses
//	status.json, console.log    of its keeper
package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/machine"
)

// Options are what the cloud is opened with.
type Options struct {
	Dir   string // where the machines are; it is made, and must not lie on an overlay
	Popup string // the popup program; empty: the one that runs
	Host  string // the address of this machine that apps are reached at; empty: 127.0.0.1
	// Image is what machines start from. Its Log means nothing.
	Image machine.ImageConfig
	Log   *slog.Logger
}

// A Cloud keeps containers on this machine. It implements console.Cloud.
type Cloud struct {
	*kept.Cloud
	kept.Way
	downloads *kept.Downloads
}

const (
	// consoleHost is what the /etc/hosts of a container calls its console.
	consoleHost = "popup-console"
	appPort     = "80"
	verb        = "popup:container-keeper"
	linkName    = "link"
)

// Open takes the folder for this console, adopts the machines that run in it, and has
// the others started again. The error says so where another console has the folder.
func Open(opts Options) (*Cloud, error) {
	folder := kept.Options{Dir: opts.Dir, Popup: opts.Popup, Host: opts.Host, Grace: kept.KeeperGrace, Log: opts.Log}
	if err := folder.Complete(); err != nil {
		return nil, err
	}
	image, err := kept.CompleteImage(opts.Image)
	if err != nil {
		return nil, err
	}
	cloud, err := kept.Open(folder, &kind{folder, image})
	if err != nil {
		return nil, err
	}
	way := kept.Way{Dir: folder.Dir, Host: consoleHost}
	downloads, err := way.Offer(opts.Popup)
	if err != nil {
		return nil, errors.Join(err, cloud.Close())
	}
	return &Cloud{cloud, way, downloads}, nil
}

// Close lets go of the folder; the machines go on. Closing twice is fine.
func (c *Cloud) Close() error { return errors.Join(c.downloads.Close(), c.Cloud.Close()) }

// Main is the main of a machine's keeper, when args, a whole os.Args, are of one. It
// must be called before anything else in main. When handled is true the caller exits
// with code.
func Main(args []string) (handled bool, code int) { return kept.Keep(args, verb, start) }

// A kind is a kept.Kind of containers.
type kind struct {
	kept.Options
	image machine.ImageConfig
}

// Check implements kept.Kind.
func (k *kind) Check(ctx context.Context, l console.Launch) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("a container needs root, for namespaces and mounts; start the console as root, or launch on another cloud"))
	}
	if strings.ContainsAny(k.Dir, `,:\`) {
		errs = append(errs, fmt.Errorf("what is in %s cannot be mounted, for a comma, a colon or a backslash in its path; choose another folder", k.Dir))
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(k.Dir, &disk); err == nil && disk.Type == unix.OVERLAYFS_SUPER_MAGIC {
		errs = append(errs, fmt.Errorf("%s lies on an overlay, over which no other can be mounted; choose a folder on a disk", k.Dir))
	}
	errs = append(errs, kept.CheckMachine(k.Options, l, map[string]string{"mmdebstrap": "mmdebstrap", "apt-get": "apt"}))
	return errors.Join(errs...)
}

// Fill implements kept.Kind.
func (k *kind) Fill(m *kept.Machine, _ console.Launch) (err error) {
	m.ID = kept.NewID()
	m.Made, err = json.Marshal(k.image)
	return err
}

// Open implements kept.Kind.
func (k *kind) Open(m kept.Machine) kept.Program { return kept.Keeping(m, k.Popup, verb) }

// clearTimeout bounds the wait for what was killed: what the kernel cannot end just now
// is not to keep all other machines waiting.
const clearTimeout = 15 * time.Second

// Clear implements kept.Kind.
func (k *kind) Clear(path string) error {
	var err error
	if r, readErr := kept.ReadRecord(path); readErr == nil { // else it never ran, or its keeper has done it
		ctx, cancel := context.WithTimeout(context.Background(), clearTimeout)
		defer cancel()
		err = machine.RemoveLeftovers(ctx, r.ID)
	}
	if name, linkErr := os.ReadFile(filepath.Join(path, linkName)); linkErr == nil {
		err = errors.Join(err, machine.RemoveLink(string(name)))
	}
	return err
}

// start starts the container of a keeper.
func start(ctx context.Context, k *kept.Keeper) (_ kept.Held, err error) {
	var image machine.ImageConfig
	if err := json.Unmarshal(k.Made, &image); err != nil {
		return nil, fmt.Errorf("read record of the machine: %w", err)
	}
	h := &held{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.image, err = k.Image(ctx, image); err != nil {
		return nil, err
	}
	if h.link, err = link(ctx, k.At(linkName)); err != nil {
		return nil, err
	}
	for port, socket := range (kept.Way{Dir: filepath.Dir(k.Path)}).Sockets() {
		if err := h.forward(net.JoinHostPort(h.link.HostAddr().String(), port), "unix", socket); err != nil {
			return nil, err
		}
	}
	if err := h.forward(k.Address, "tcp", net.JoinHostPort(h.link.Addr().String(), appPort)); err != nil {
		return nil, err
	}
	h.Container, err = machine.StartContainer(ctx, machine.ContainerConfig{
		Image: h.image, Name: k.ID, Link: h.link, UserData: k.UserData, Dir: k.Path, Kept: true, Console: k.Console,
		Files: map[string][]byte{"/etc/cloud/templates/hosts.debian.tmpl": fmt.Appendf(nil, hosts, h.link.HostAddr(), consoleHost)},
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// hosts is what cloud-init makes of /etc/hosts, at each boot.
const hosts = "## template:jinja\n127.0.0.1 localhost\n127.0.1.1 {{fqdn}} {{hostname}}\n%s %s\n"

// link makes the link whose name is in a file, or, where there is none, one of that name.
func link(ctx context.Context, file string) (*machine.Link, error) {
	if name, err := os.ReadFile(file); err == nil {
		return machine.RelayLink(string(name))
	}
	link, err := machine.NewLink(ctx)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(file, []byte(link.Name()), 0o600); err != nil {
		return nil, errors.Join(err, link.Close())
	}
	return link, nil
}

// held is a container with what is around it, made in this order.
type held struct {
	image    *machine.Image
	link     *machine.Link
	forwards []*kept.Forward
	*machine.Container
}

// forward passes on what connects to an address of this machine.
func (h *held) forward(from, network, to string) error {
	listener, err := net.Listen("tcp", from)
	if err != nil {
		return fmt.Errorf("listen for the machine: %w", err)
	}
	h.forwards = append(h.forwards, kept.NewForward(listener, kept.To(network, to)))
	return nil
}

// Close takes the container away, however far it came, and leaves its folder.
func (h *held) Close() error {
	var err error
	if h.Container != nil {
		err = h.Container.Close()
	}
	for _, f := range h.forwards {
		err = errors.Join(err, f.Close())
	}
	if h.link != nil {
		err = errors.Join(err, h.link.Close())
	}
	if h.image != nil {
		err = errors.Join(err, h.image.Close())
	}
	return err
}
