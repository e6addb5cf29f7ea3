package launcher

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"popup/apps"
)

// packagesTimeout bounds one run of a package manager, its downloads included.
const packagesTimeout = 15 * time.Minute

// A packageManager installs the operating system's packages. Every call is an
// argv; a name never reaches a shell.
type packageManager struct {
	name    string
	listed  func(apps.Packages) []string
	query   []string // exits 0 when the package that follows is installed
	refresh []string // brings the lists up to date; nil: install does
	install []string // installs the packages that follow
	env     []string
}

// packageManagers are tried in this order; the first whose program is here is used.
var packageManagers = []packageManager{
	{
		name:    "apt-get",
		listed:  func(p apps.Packages) []string { return p.Apt },
		query:   []string{"dpkg-query", "--show", "--showformat=${db:Status-Status}\n", "--"},
		refresh: []string{"apt-get", "-o", "DPkg::Lock::Timeout=300", "update"},
		install: []string{"apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", "--"},
		env:     []string{"DEBIAN_FRONTEND=noninteractive"},
	},
	{
		name:    "dnf",
		listed:  func(p apps.Packages) []string { return p.Dnf },
		query:   []string{"rpm", "-q", "--whatprovides", "--"},
		install: []string{"dnf", "install", "-y", "--setopt=install_weak_deps=False", "--"},
	},
	{
		name:    "zypper",
		listed:  func(p apps.Packages) []string { return p.Zypper },
		query:   []string{"rpm", "-q", "--whatprovides", "--"},
		install: []string{"zypper", "--non-interactive", "install", "--no-recommends", "--"},
	},
	{
		name:    "apk",
		listed:  func(p apps.Packages) []string { return p.Apk },
		query:   []string{"apk", "info", "-e"},
		install: []string{"apk", "add", "--no-interactive"},
	},
}

// findPackageManager returns this machine's.
func findPackageManager() (packageManager, bool) {
	for _, m := range packageManagers {
		if _, err := exec.LookPath(m.name); err == nil {
			return m, true
		}
	}
	return packageManager{}, false
}

// installPackages makes sure that what the manifest lists for this machine is
// installed, and returns what is missing where it may not install anything.
func (a *Appliance) installPackages(ctx context.Context, p apps.Packages) (note string, err error) {
	if len(p.Apt)+len(p.Dnf)+len(p.Apk)+len(p.Zypper) == 0 {
		return "", nil
	}
	m, ok := findPackageManager()
	if !ok {
		return "", fmt.Errorf("install packages: this machine has none of apt-get, dnf, zypper and apk; install what app.yaml lists under packages by hand")
	}
	missing := slices.DeleteFunc(slices.Clone(m.listed(p)), func(name string) bool { return a.installed(ctx, m, name) })
	if len(missing) == 0 {
		return "", nil
	}
	if os.Geteuid() != 0 {
		return fmt.Sprintf("not installed, and popup is not root here: %s", strings.Join(missing, " ")), nil
	}
	ctx, cancel := context.WithTimeout(ctx, packagesTimeout)
	defer cancel()
	if m.refresh != nil {
		if err := a.runTool(ctx, "packages", m.refresh, m.env); err != nil {
			return "", fmt.Errorf("update package lists: %w", err)
		}
	}
	if err := a.runTool(ctx, "packages", append(slices.Clone(m.install), missing...), m.env); err != nil {
		return "", fmt.Errorf("install packages %s: %w", strings.Join(missing, " "), err)
	}
	return "", nil
}

// installed asks the package database; an answer that is not a plain yes is a no.
func (a *Appliance) installed(ctx context.Context, m packageManager, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.query[0], append(slices.Clone(m.query[1:]), name)...)
	out, err := cmd.Output()
	if err != nil {
		return false
	}
	return m.name != "apt-get" || strings.TrimSpace(string(out)) == "installed"
}
