package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// anyDisk is a disk of this machine, and its number.
func anyDisk(t *testing.T) (node, device string) {
	t.Helper()
	numbers, err := filepath.Glob("/sys/block/*/dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range numbers {
		node := "/dev/" + filepath.Base(filepath.Dir(path))
		if _, err := os.Stat(node); err != nil {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return node, strings.TrimSpace(string(text))
	}
	t.Skip("this machine shows no disk")
	return "", ""
}

func TestFind(t *testing.T) {
	node, device := anyDisk(t)
	for name, tc := range map[string]struct {
		id      string
		serials map[string]string // by the path below block
		disk    string            // what is found
		err     string
		away    bool
	}{
		"NVMe":             {volumeID, map[string]string{"nvme0n1/device/serial": "vol0fffffffffffffff0\n", "nvme1n1/device/serial": "vol0123456789abcdef0\n"}, "nvme1n1", "", false},
		"NVMe, padded":     {"vol-01234567", map[string]string{"nvme1n1/device/serial": "vol01234567         \n"}, "nvme1n1", "", false},
		"virtio":           {"vol-12345678", map[string]string{"vda/serial": "", "vdb/serial": "vol-12345678"}, "vdb", "", false},
		"virtio, cut":      {volumeID, map[string]string{"vdb/serial": "vol-0123456789abcdef"}, "vdb", "", false},
		"virtio, long":     {"state-of-the-fair-in-may", map[string]string{"vdb/serial": "state-of-the-fair-in"}, "vdb", "", false},
		"a beginning":      {volumeID, map[string]string{"vdb/serial": "vol-0123456789"}, "", "no disk has its serial number (vdb is vol-0123456789); attach it", true},
		"none":             {volumeID, map[string]string{"vda/size": "1"}, "", "no disk has its serial number; attach it to this instance", true},
		"others":           {volumeID, map[string]string{"vdb/serial": "b", "vda/serial": "a"}, "", "no disk has its serial number (vda is a, vdb is b)", true},
		"two":              {volumeID, map[string]string{"vda/serial": "vol0123456789abcdef0", "vdb/serial": "vol-0123456789abcdef"}, "", "several disks have its serial number: vda, vdb", false},
		"Xen":              {volumeID, map[string]string{"xvda/size": "1", "xvdf/size": "1"}, "", "this machine's disks (xvd…) do not say which volume they are; take a type of instance", false},
		"Xen with NVMe":    {volumeID, map[string]string{"xvda/size": "1", "nvme1n1/device/serial": "vol0123456789abcdef0"}, "nvme1n1", "", false},
		"without a device": {volumeID, map[string]string{"sdz/serial": volumeID}, "", "its device is not there yet", true},
		"no disk":          {volumeID, map[string]string{"file/serial": volumeID}, "", "is not a disk", false},
	} {
		sys, dev := t.TempDir(), t.TempDir()
		for path, serial := range tc.serials {
			path = filepath.Join(sys, "block", path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(serial), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dev, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if tc.disk != "" {
			if err := os.Symlink(node, filepath.Join(dev, tc.disk)); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Volume{ID: tc.id, Sys: sys, Dev: dev}.find()
		if tc.err == "" {
			if err != nil || d.name != tc.disk || d.device != device {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.err) || e.Away != tc.away {
			t.Errorf("%s: %+v, %v; want %q", name, d, err, tc.err)
		}
	}
	if _, err := (Volume{ID: volumeID, Sys: t.TempDir()}).find(); err == nil || !strings.Contains(err.Error(), "disks cannot be listed") {
		t.Errorf("without sysfs: %v", err)
	}
}
