// Package machine makes real machines out of this one: a Debian image with
// systemd and cloud-init, started in namespaces (Container) or under QEMU (VM),
// told what to be by a NoCloud seed or by an instance metadata service (IMDS).
//
// A container boots in about three seconds and shares this machine's kernel: it
// covers user-data, units, timers, reboots and power-off, but no DHCP, no DMI and
// no memory of its own. A VM covers all of it and takes a minute or more where
// the processor has to be emulated.
//
// Everything here needs Linux. Containers need root. The programs that are run
// are mmdebstrap, mke2fs and apt-get (images), nsenter (Container.Exec),
// qemu-img and qemu-system-* (VM).
package machine
