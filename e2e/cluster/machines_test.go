//go:build cluster

package cluster

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMachines: what is taken from a machine is gone, and comes back.
func TestMachines(t *testing.T) {
	a, b := newMachine(t, 1, 64), newMachine(t, 2, 64)
	var listener net.Listener
	a.within(func() (err error) { listener, err = net.Listen("tcp", a.ip+":7000"); return err })
	t.Cleanup(func() { must(t, listener.Close()) })
	const surely = 10 * time.Second // where it has to be reached
	reaches := func(m *machine, within time.Duration) (is bool) {
		m.within(func() error {
			conn, err := net.DialTimeout("tcp", a.ip+":7000", within)
			if is = err == nil; is {
				return conn.Close()
			}
			return nil
		})
		return is
	}
	for _, c := range []struct {
		ways []direction
		of   *machine
	}{{[]direction{in}, a}, {[]direction{out}, a}, {[]direction{in, out}, a}, {[]direction{in}, b}, {[]direction{out}, b}} {
		other := map[*machine]*machine{a: b, b: a}[c.of]
		c.of.cut([]*machine{other}, c.ways...)
		if reaches(b, time.Second) {
			t.Errorf("%s is cut off from %s, %v, and b reaches a", c.of.name, other.name, c.ways)
		}
		if conn, err := net.DialTimeout("tcp", a.ip+":7000", surely); err != nil {
			t.Errorf("the tests no longer reach a: %v", err)
		} else {
			must(t, conn.Close())
		}
		c.of.heal()
	}
	if !reaches(b, surely) {
		t.Error("b does not reach a when all is healed")
	}

	thaw := a.freeze()
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(filepath.Join(a.disk, "x"), []byte("x"), 0o600) }()
	select {
	case err := <-wrote:
		t.Errorf("a frozen disk is written, %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	thaw()
	must(t, <-wrote)
	empty := b.fill()
	if err := os.WriteFile(filepath.Join(b.disk, "x"), make([]byte, 8192), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk is written, %v", err)
	}
	empty()
	must(t, os.WriteFile(filepath.Join(b.disk, "x"), make([]byte, 8192), 0o600))
}
