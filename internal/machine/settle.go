package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// maskedUnits are what a machine that lives for minutes has no use for, and
// what would ask for a terminal it does not have.
var maskedUnits = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
	"dpkg-db-backup.timer", "man-db.timer", "motd-news.timer",
	"console-getty.service", "getty@tty1.service", "serial-getty@ttyS0.service",
}

// enabledUnits are linked from where they are wanted.
var enabledUnits = map[string]string{
	"multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
	"sockets.target.wants/systemd-networkd.socket":     "/lib/systemd/system/systemd-networkd.socket",
}

// settledFiles are written into every image.
var settledFiles = map[string]string{
	"etc/hostname":       "localhost\n",
	"etc/machine-id":     "", // each machine makes up its own
	"etc/resolv.conf":    "", // a name server that is not there costs 10 s a look-up
	"etc/fstab":          "",
	"etc/default/locale": "LANG=C.UTF-8\n", // what cloud-init would else generate, longer than all the rest of a boot
	"etc/cloud/cloud.cfg.d/50_popup.cfg": "locale: C.UTF-8\n" +
		"ssh_genkeytypes: [ed25519]\n" + // there is no sshd to need one
		"apt: {preserve_sources_list: true}\n" +
		"manage_etc_hosts: true\n",
}

// settle turns what the packages left into something that boots fast, alone
// and as a machine of its own. Everything is done through the root, so that a
// link in it leads nowhere else.
func settle(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, unit := range maskedUnits {
		if err := relink(root, "/dev/null", "etc/systemd/system/"+unit); err != nil {
			return err
		}
	}
	for link, unit := range enabledUnits {
		if err := relink(root, unit, "etc/systemd/system/"+link); err != nil {
			return err
		}
	}
	for name, text := range settledFiles {
		if err := rewrite(root, name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return root.RemoveAll("var/lib/cloud")
}

// relink makes a symlink, in place of whatever has its name.
func relink(root *os.Root, target, name string) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.Symlink(target, name)
}

// rewrite writes a file, in place of whatever has its name, links included.
func rewrite(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := root.WriteFile(name, data, mode); err != nil {
		return err
	}
	return root.Chmod(name, mode)
}

var userinfo = regexp.MustCompile(`//[^/\s@]*@`)

// redact takes user and password out of the addresses in a text.
func redact(text string) string { return userinfo.ReplaceAllString(text, "//") }

// A nameless text cannot be a host name, a folder or an interface.
var machineName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func checkName(name string) error {
	if !machineName.MatchString(name) {
		return fmt.Errorf("the name %q may have lower-case letters, digits and hyphens, at most 40", name)
	}
	return nil
}
