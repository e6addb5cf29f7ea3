package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The folders of a container: what it changed, what the kernel needs for that,
// and where both are mounted over the image.
const (
	upperLayer = "upper"
	workLayer  = "work"
	rootLayer  = "root"
)

var layers = []string{upperLayer, workLayer, rootLayer}

// The descriptors a container's first process starts with.
const (
	gateFD   = 3 // what to be, read to its end
	netFD    = 4 // the network to be in
	reportFD = 5 // why it could not be; closed when it is
)

// A guestSpec is what a container's first process is told.
type guestSpec struct {
	Name  string
	Lower string // the image
	Dir   string // holds the layers
	Tty   string // the console, as this machine names it
	Files map[string][]byte
}

func (c *Container) spec(first bool) (guestSpec, error) {
	spec := guestSpec{Name: c.cfg.Name, Lower: c.cfg.Image.Root(), Dir: c.dir, Tty: c.guests.Name()}
	if strings.ContainsAny(spec.Lower+spec.Dir, `,:\`) {
		return spec, fmt.Errorf("mount %s over %s: a path with a comma, colon or backslash cannot be mounted", spec.Dir, spec.Lower)
	}
	if !first {
		return spec, nil
	}
	seed, err := seedFiles(c.cfg.UserData, c.cfg.MetaData, c.cfg.Link.networkConfig())
	if err != nil {
		return spec, err
	}
	spec.Files = map[string][]byte{}
	for name, data := range c.cfg.Files {
		spec.Files[strings.TrimPrefix(name, "/")] = data
	}
	for _, f := range seed {
		spec.Files[seedDir+"/"+f.name] = f.data
	}
	return spec, nil
}

// tell writes the spec and closes the pipe.
func (s guestSpec) tell(w io.WriteCloser) error {
	return errors.Join(json.NewEncoder(w).Encode(s), w.Close())
}

// droppedRights are those of a container's root that would reach beyond it: the
// clock, the kernel, the hardware and its log; to make devices of it, and to open
// what has a number, as other control groups have, without a path to it.
var droppedRights = []uintptr{
	unix.CAP_MKNOD, unix.CAP_DAC_READ_SEARCH,
	unix.CAP_SYS_TIME, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYSLOG, unix.CAP_WAKE_ALARM,
	unix.CAP_BLOCK_SUSPEND, unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_PERFMON, unix.CAP_BPF,
}

// becomeInit turns this process, which is the first of new namespaces, into the
// container's init. It returns only when that failed, and has said why to who
// started it.
func becomeInit() error {
	report := os.NewFile(reportFD, "report")
	unix.CloseOnExec(reportFD)
	err := enterGuest()
	_, reportErr := report.WriteString(err.Error())
	return errors.Join(err, reportErr)
}

// enterGuest returns only with an error.
func enterGuest() error {
	// Death signal, network, control groups and rights belong to a thread, and
	// execve keeps those of the one that calls it.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask for the death signal: %w", err)
	}
	gate := os.NewFile(gateFD, "gate")
	var spec guestSpec
	if err := json.NewDecoder(gate).Decode(&spec); err != nil {
		return fmt.Errorf("read what to become: %w", err) // whoever started us has ended
	}
	if err := gate.Close(); err != nil {
		return err
	}
	if err := unix.Setns(netFD, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network: %w", err)
	}
	if err := unix.Close(netFD); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("leave the control groups of others: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := spec.enterRoot(); err != nil {
		return err
	}
	for _, right := range droppedRights {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop right %d: %w", right, err)
		}
	}
	const init = "/sbin/init"
	// systemd reads from its environment that it is in a container.
	err := unix.Exec(init, []string{init}, []string{"container=popup", "TERM=dumb"})
	return fmt.Errorf("run %s: %w", init, err)
}

// enterRoot mounts the container's files and makes them all there is.
func (s guestSpec) enterRoot() error {
	root := filepath.Join(s.Dir, rootLayer)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the mounts of others: %w", err)
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		s.Lower, filepath.Join(s.Dir, upperLayer), filepath.Join(s.Dir, workLayer))
	if err := unix.Mount("overlay", root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount an overlay in %s: %w; its folder must not lie on an overlay or a network", s.Dir, err)
	}
	if err := s.layFiles(root); err != nil {
		return err
	}
	if err := mountKernel(root); err != nil {
		return err
	}
	if err := makeDevices(root, s.Tty); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	// The old root is stacked on the new one, and taken from it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return unix.Chdir("/")
}

// layFiles writes the files of the first boot, within the root.
func (s guestSpec) layFiles(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, data := range s.Files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, seedDir+"/") {
			mode = 0o600 // user-data may hold secrets
		}
		if err := rewrite(root, name, data, mode); err != nil {
			return fmt.Errorf("write a file of the first boot: %w", err)
		}
	}
	return nil
}
