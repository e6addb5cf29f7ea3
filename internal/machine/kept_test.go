package machine

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A link that a killed program left is made again with its addresses, whether the kernel
// has taken it away by then or not.
func TestRelayLink(t *testing.T) {
	needRoot(t)
	first, err := NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := RelayLink(first.Name()) // the first is still there
	if err != nil {
		t.Fatal(err)
	}
	if second.Addr() != first.Addr() || second.HostAddr() != first.HostAddr() {
		t.Errorf("its addresses were %s and %s, and are %s and %s", first.HostAddr(), first.Addr(), second.HostAddr(), second.Addr())
	}
	noError(t, first.namespace.Close())
	noError(t, second.Close())
	third, err := RelayLink(first.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.InterfaceByName(first.Name()); err != nil {
		t.Errorf("the link is not there: %v", err)
	}
	noError(t, RemoveLink(third.Name()))
	noError(t, RemoveLink(third.Name()))
	noError(t, third.Close())
	for _, name := range []string{"", "popup", "popup4000", "popupffff", "popup12", "eth0", "popup0x01", "popup-001"} {
		if link, err := RelayLink(name); err == nil {
			t.Errorf("%q is a link: %+v", name, link)
			noError(t, link.Close())
		}
	}
}

func TestKeptIdentitySigner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := KeptIdentitySigner(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	again, err := KeptIdentitySigner(path, time.Now())
	if err != nil || !again.Certificate().Equal(first.Certificate()) || !again.key.Equal(first.key) {
		t.Errorf("it is another: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": text[:len(text)/2], "no key": first.CertificatePEM(), "broken": bytes.Replace(text, []byte("MII"), []byte("AAA"), 1),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := KeptIdentitySigner(path, time.Now()); err == nil {
			t.Errorf("%s: read as %+v", name, s)
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, bad) {
			t.Errorf("%s: it was changed, %v", name, err)
		}
	}
}

func TestOpenImage(t *testing.T) {
	dir := t.TempDir()
	if image, err := OpenImage(dir); err == nil || !strings.Contains(err.Error(), "removed, or never built") {
		t.Errorf("an empty folder is %+v, %v", image, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := OpenImage(dir)
	if err != nil || image.Dir() != dir {
		t.Fatalf("it is %+v, %v", image, err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("it could be removed while it is open: %v", err)
	}
	noError(t, image.Close())
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("once it is closed it is still held: %v", err)
	}
	if image, err := OpenImage(dir); err == nil || !strings.Contains(err.Error(), "being removed") {
		t.Errorf("what is being removed is %+v, %v", image, err)
	}
}

// A kept container goes on where one before it ended, in whatever way that did.
func TestKeptContainerGoesOn(t *testing.T) {
	dir, image := t.TempDir(), testImage(t)
	start := func(link *Link) *Container {
		return startTest(t, ContainerConfig{Image: image, Name: "kept-container", Dir: dir, Kept: true, Link: link})
	}
	link, err := NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := start(link)
	booted(t, first)
	inside(t, first, "sh", "-c", "echo kept >/root/kept; sync")
	noError(t, first.init.Kill())
	<-first.Done()
	// It was never closed, as by a program that was killed: its control group is there.
	if err := unix.Access(first.cgroup.path, unix.F_OK); err != nil {
		t.Fatalf("nothing is left that could be in the way: %v", err)
	}
	if link, err = RelayLink(link.Name()); err != nil {
		t.Fatal(err)
	}
	second := start(link)
	booted(t, second)
	if got := inside(t, second, "cat", "/root/kept"); got != "kept\n" {
		t.Errorf("it goes on with %q", got)
	}
	noError(t, second.Close())
	noError(t, link.Close())
	if _, err := os.Stat(filepath.Join(dir, upperLayer, "root/kept")); err != nil {
		t.Errorf("closed, its files are gone: %v", err)
	}
	noError(t, RemoveLeftovers(t.Context(), "kept-container"))
	if _, err := os.Stat(second.cgroup.path); err == nil {
		t.Errorf("%s is left", second.cgroup.path)
	}
}
