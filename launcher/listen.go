package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// listen opens the address. It is done before anything that takes time, so that
// within a second somebody who looks sees what is going on.
func (a *Appliance) listen() (net.Listener, error) {
	address := firstOf(a.opts.Listen, a.opts.Plan.Serve.Listen, ":80")
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another program has this port; stop it, or give --listen another one (127.0.0.1:0 takes a free one)", address)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("listen on %s: only root may listen there; give --listen a port above 1023", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	a.url = "http://" + reachable(l.Addr())
	return l, nil
}

// reachable turns what was listened on into what a person can open.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	return net.JoinHostPort(name, fmt.Sprint(tcp.Port))
}
