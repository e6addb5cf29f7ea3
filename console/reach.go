package console

import (
	"fmt"
	"net"
	"net/url"
)

// LocalCloud is the name of the cloud whose instances run on the console's own machine.
const LocalCloud = "local"

// checkReach says why the instances of a cloud could not reach the console at an address.
func checkReach(address, cloud string) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("this console does not know its own address; start it with --url https://NAME")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case loopback && cloud != LocalCloud:
		return fmt.Errorf("instances of %s could not reach this console at %s, which is an address of its own machine alone; start it with --url https://NAME", cloud, address)
	case u.Scheme != "https" && !loopback:
		return fmt.Errorf("instances would not believe this console at %s, where what it says could be changed on its way; start it with --url https://NAME", address)
	}
	return nil
}
