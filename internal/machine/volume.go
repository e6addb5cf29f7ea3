package machine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// A Volume is a disk of a virtual machine besides its own. QEMU sees to it that one
// machine at a time has it.
type Volume struct {
	Path   string // of a raw file
	Serial string // which the machine knows it by: letters, digits, hyphens, at most 20
}

var serialForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,20}$`)

func (vol Volume) check() error {
	if !serialForm.MatchString(vol.Serial) {
		return fmt.Errorf("the serial %q of a volume may have letters, digits and hyphens, at most 20", vol.Serial)
	}
	return nil
}

// plugs is how many volumes can be plugged in while the machine runs: its first bus takes
// none then.
const plugs = 2

// volumes are the arguments for what the machine has from its start, and for what is
// plugged in later.
func (v *VM) volumes() []string {
	var args []string
	for _, vol := range v.cfg.Volumes {
		args = append(args,
			"-drive", "if=none,format=raw,cache=writeback,id=drive-"+vol.Serial+",file="+comma(vol.Path),
			"-device", "virtio-blk-pci,drive=drive-"+vol.Serial+",serial="+vol.Serial)
	}
	for i := range plugs {
		args = append(args, "-device", fmt.Sprintf("pcie-root-port,id=plug%d,chassis=%d", i, i+1))
	}
	return args
}

// Attach plugs a volume into the running machine, which has it until its end. Of one
// that is there already it is the same.
func (v *VM) Attach(ctx context.Context, vol Volume) error {
	if err := v.attach(ctx, vol); err != nil {
		return fmt.Errorf("attach volume %s to virtual machine %s: %w", vol.Serial, v.cfg.Name, err)
	}
	return nil
}

func (v *VM) attach(ctx context.Context, vol Volume) error {
	if err := vol.check(); err != nil {
		return err
	}
	v.plugging.Lock()
	defer v.plugging.Unlock()
	if v.plugged[vol.Serial] {
		return nil
	}
	used := len(v.plugged) - len(v.cfg.Volumes)
	if used >= plugs {
		return fmt.Errorf("it has %d already, for which it has room", used)
	}
	node := "drive-" + vol.Serial
	err := v.control.do(ctx, "blockdev-add", map[string]any{
		"driver": "raw", "node-name": node, "file": map[string]any{"driver": "file", "filename": vol.Path}})
	if err != nil {
		return err
	}
	err = v.control.do(ctx, "device_add", map[string]any{
		"driver": "virtio-blk-pci", "drive": node, "serial": vol.Serial, "id": "volume-" + vol.Serial, "bus": fmt.Sprintf("plug%d", used)})
	if err != nil {
		// What was opened would be in the way of the next try, here and elsewhere.
		return errors.Join(err, v.control.do(ctx, "blockdev-del", map[string]any{"node-name": node}))
	}
	v.plugged[vol.Serial] = true
	return nil
}

// Pause holds the machine, with all that it wrote in the files of its disks, until
// Resume.
func (v *VM) Pause(ctx context.Context) error { return v.control.do(ctx, "stop", nil) }

// Resume has the machine go on.
func (v *VM) Resume(ctx context.Context) error { return v.control.do(ctx, "cont", nil) }
