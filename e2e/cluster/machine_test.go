//go:build cluster

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// here is the address of the tests, and of the cloud, to the machines.
const here = "10.99.0.1"

// A machine has an address of its own on a network, a firewall, and a disk.
type machine struct {
	t    testing.TB
	name string // of its network namespace
	ip   string
	disk string // where it is mounted
}

var network = sync.OnceValue(func() error {
	// The names of namespaces are files here, where no one else sees them.
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, line := range []string{"ip link set lo up", "ip link add bridge0 type bridge", "ip addr add " + here + "/24 dev bridge0", "ip link set bridge0 up"} {
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
})

// newMachine makes the n-th machine, whose disk has so many MiB.
func newMachine(t testing.TB, n, size int) *machine {
	t.Helper()
	must(t, network())
	m := &machine{t: t, name: fmt.Sprintf("d%d", n), ip: fmt.Sprintf("10.99.0.%d", 10+n)}
	run(t, "ip", "netns", "add", m.name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", m.name) })
	run(t, "ip", "link", "add", "to"+m.name, "type", "veth", "peer", "name", "eth0", "netns", m.name)
	t.Cleanup(func() { run(t, "ip", "link", "del", "to"+m.name) })
	run(t, "ip", "link", "set", "to"+m.name, "master", "bridge0", "up")
	for _, line := range []string{"addr add " + m.ip + "/24 dev eth0", "link set lo up", "link set eth0 up"} {
		run(t, append([]string{"ip", "-n", m.name}, strings.Fields(line)...)...)
	}
	image := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, int64(size)<<20))
	run(t, "mkfs.ext4", "-q", "-m", "0", "-F", image)
	m.disk = filepath.Join("/run", m.name)
	must(t, os.MkdirAll(m.disk, 0o755))
	run(t, "mount", "-o", "loop", image, m.disk)
	t.Cleanup(func() { run(t, "umount", m.disk) })
	return m
}

// in is a program that is started on the machine.
func (m *machine) in(argv ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + m.name, "--"}, argv...)...)
}

// within has do make its sockets on the machine.
func (m *machine) within(do func() error) {
	m.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // it ends with this goroutine, and never is anywhere else
		namespace, err := os.Open("/run/netns/" + m.name)
		if err == nil {
			err = errors.Join(unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET), namespace.Close())
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	must(m.t, <-done)
}

// A direction is of packets, as a machine sees it.
type direction string

const (
	in  direction = "input"
	out direction = "output"
)

// cut drops what goes between the machine and others, in these directions, without a word.
func (m *machine) cut(from []*machine, ways ...direction) {
	m.t.Helper()
	var addresses []string
	for _, other := range from {
		addresses = append(addresses, other.ip)
	}
	rules := "table ip cut\ndelete table ip cut\ntable ip cut {\n"
	for _, way := range ways {
		side := map[direction]string{in: "saddr", out: "daddr"}[way]
		rules += fmt.Sprintf("chain %s { type filter hook %s priority 0; ip %s { %s } drop; }\n", way, way, side, strings.Join(addresses, ", "))
	}
	m.rules(rules + "}\n")
}

// heal lets everything through again.
func (m *machine) heal() {
	m.t.Helper()
	m.rules("table ip cut\ndelete table ip cut\n")
}

func (m *machine) rules(text string) {
	m.t.Helper()
	nft := m.in("nft", "-f", "-")
	nft.Stdin = strings.NewReader(text)
	if out, err := nft.CombinedOutput(); err != nil {
		m.t.Fatalf("nft: %v: %s\n%s", err, out, text)
	}
}

// mostFrozen is when a disk goes on even if nobody is left to say so: what waits for it
// could not even be killed.
const mostFrozen = time.Minute

// freeze has the disk do nothing until what it returns is called.
func (m *machine) freeze() (thaw func()) {
	m.t.Helper()
	run(m.t, "fsfreeze", "--freeze", m.disk)
	guard := exec.Command("sh", "-c", fmt.Sprintf("read _; exec fsfreeze --unfreeze %s", m.disk))
	rest, err := guard.StdinPipe()
	must(m.t, err)
	must(m.t, guard.Start())
	late := time.AfterFunc(mostFrozen, func() { rest.Close() }) //nolint:errcheck // the guard sees it
	return sync.OnceFunc(func() {
		late.Stop()
		_ = rest.Close() // the guard goes on at its end, or at ours
		if err := guard.Wait(); err != nil {
			m.t.Errorf("unfreeze %s: %v", m.disk, err)
		}
	})
}

// fill leaves no byte on the disk until what it returns is called.
func (m *machine) fill() (empty func()) {
	m.t.Helper()
	path := filepath.Join(m.disk, "filler")
	file, err := os.Create(path)
	must(m.t, err)
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 4
		}
	}
	must(m.t, file.Close())
	return sync.OnceFunc(func() { must(m.t, os.Remove(path)) })
}
