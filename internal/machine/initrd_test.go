package machine

import (
	"slices"
	"strings"
	"testing"
)

func testModules() kernelModules {
	var m kernelModules
	m.parse([]byte(`kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/crc16.ko:
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio-pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/fs/btrfs.ko.xz:
`), []byte("kernel/block/virtio_blk.ko\n"))
	return m
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	order, err := testModules().order([]string{"virtio_pci", "virtio_blk", "ext4"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range order {
		names = append(names, moduleName(file))
	}
	want := []string{"virtio", "virtio_ring", "virtio_pci", "crc16", "jbd2", "ext4"}
	if !slices.Equal(names, want) {
		t.Errorf("the order is %v, want %v: each after what it needs, none twice, none that is built in", names, want)
	}
}

func TestModulesThatCannotBeLoaded(t *testing.T) {
	for name, want := range map[string]string{
		"zfs":   "kernel module zfs is not in the image's kernel",
		"btrfs": "kernel/fs/btrfs.ko.xz is compressed",
	} {
		if _, err := testModules().order([]string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", name, err, want)
		}
	}
}
