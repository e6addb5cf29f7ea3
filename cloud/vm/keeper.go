package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"popup/cloud/kept"
	"popup/internal/machine"
)

// start starts the virtual machine of a keeper.
func start(ctx context.Context, k *kept.Keeper) (_ kept.Held, err error) {
	var m made
	if err := json.Unmarshal(k.Made, &m); err != nil {
		return nil, fmt.Errorf("read record of the machine: %w", err)
	}
	dir := filepath.Dir(k.Path)
	h := &held{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	h.run = runOf(dir, k.ID)
	if err := errors.Join(os.RemoveAll(h.run), os.MkdirAll(h.run, 0o700)); err != nil {
		return nil, fmt.Errorf("make a folder for its sockets: %w", err)
	}
	if h.image, err = k.Image(ctx, m.Image); err != nil {
		return nil, err
	}
	if err := k.Say("it is being started"); err != nil {
		return nil, err
	}
	cfg, err := config(dir, k, m)
	if err != nil {
		return nil, err
	}
	cfg.Image, cfg.Run, cfg.Console = h.image, h.run, k.Console
	if m.Disk > ownDisk {
		info, err := os.Stat(h.image.Disk())
		if err != nil {
			return nil, fmt.Errorf("look at the disk of its image: %w", err)
		}
		cfg.Disk = info.Size() + m.Disk - ownDisk
	}
	if h.VM, err = machine.StartVM(ctx, cfg); err != nil {
		return nil, err
	}
	h.control, err = serveControl(filepath.Join(h.run, controlName), h.VM)
	return h, err
}

// config is the virtual machine that a record tells of.
func config(dir string, k *kept.Keeper, m made) (machine.VMConfig, error) {
	address, err := netip.ParseAddrPort(k.Address)
	if err != nil {
		return machine.VMConfig{}, fmt.Errorf("read its address: %w", err)
	}
	cfg := machine.VMConfig{
		Name: k.ID, Dir: k.Path, Kept: true, Memory: m.Memory, CPUs: m.CPUs,
		ForwardFrom: map[int]netip.AddrPort{appPort: address},
		Sockets:     map[string]string{},
	}
	for port, socket := range (kept.Way{Dir: dir}).Sockets() {
		cfg.Sockets[net.JoinHostPort(consoleHost(m.NoCloud), port)] = socket
	}
	if cfg.Volumes, err = (&volumes{dir: dir}).of(k.Instance); err != nil {
		return cfg, err
	}
	if m.NoCloud {
		cfg.UserData = k.UserData
		return cfg, nil
	}
	signer, err := machine.KeptIdentitySigner(filepath.Join(dir, keyName), time.Now())
	if err != nil {
		return cfg, err
	}
	cfg.EC2, err = machine.NewIMDS(machine.MetadataConfig{
		InstanceID: k.ID, Region: region, MAC: cfg.MAC(), UserData: k.UserData, LaunchTime: k.Launched, Signer: signer,
	})
	return cfg, err
}

// held is a virtual machine with what is around it.
type held struct {
	run     string
	image   *machine.Image
	control interface{ Close() error }
	*machine.VM
}

// Close takes the machine away, however far it came, and leaves its disk.
func (h *held) Close() error {
	var err error
	if h.VM != nil {
		err = h.VM.Close()
	}
	if h.control != nil {
		err = errors.Join(err, h.control.Close())
	}
	if h.image != nil {
		err = errors.Join(err, h.image.Close())
	}
	return errors.Join(err, os.RemoveAll(h.run))
}
