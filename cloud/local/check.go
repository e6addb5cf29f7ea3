package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/wire"
	"popup/userdata"
)

// checkMachine says why this machine would not do.
func (k *kind) checkMachine(l console.Launch) error {
	var errs []error
	if _, err := exec.LookPath(k.Popup); err != nil {
		errs = append(errs, fmt.Errorf("the popup program is not there to start instances with (%w); install it at %s again", err, k.Popup))
	}
	if !l.Catalogued && !k.confines && !k.allowUnconfined {
		errs = append(errs, errors.New("this machine's kernel has no Landlock to confine an app with, and this app is not of the catalogue: "+
			"it could read all that the console can; add it to the catalogue, launch it on another cloud, or start the console with --allow-unconfined"))
	}
	return errors.Join(append(errs, k.checkEnterable())...)
}

// checkEnterable says which folder keeps the apps' user out, where they have one.
func (k *kind) checkEnterable() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for dir := k.Dir; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("apps run as a user of their own here, which may not enter %s; make it enterable (chmod o+x), or start the console as another user than root", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// plan reads what l asks for out of its user-data, and says why it cannot be had here.
func (k *kind) plan(l console.Launch) (wire.Plan, error) {
	plan, err := userdata.Read(l.UserData)
	if err != nil {
		return wire.Plan{}, err
	}
	errs := []error{userdata.CheckPlan(plan), k.checkServe(plan.Serve)}
	if plan.Instance != "" && plan.Instance != l.Instance {
		errs = append(errs, fmt.Errorf("the user-data is that of instance %s, and %s is launched", plan.Instance, l.Instance))
	}
	if !l.Catalogued {
		errs = append(errs, checkForeign("code", plan.Service))
		if plan.Data != nil {
			errs = append(errs, checkForeign("data", *plan.Data))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return wire.Plan{}, err
	}
	return plan, nil
}

// checkServe refuses addresses that other machines have, and this one shares.
func (k *kind) checkServe(s wire.Serve) error {
	errs := []error{kept.CheckServe(k.Host, s)}
	if s.Metrics != "" {
		errs = append(errs, checkFree(s.Metrics))
	}
	return errors.Join(errs...)
}

// checkFree opens an address for a moment.
func checkFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics cannot be served on %s of this machine (%w); choose another port for them, or none", address, err)
	}
	return listener.Close()
}

// checkForeign keeps a stranger's app from what popup itself, as the console's user,
// could read here and would publish or send away.
func checkForeign(what string, s wire.Source) error {
	folder := !strings.Contains(s.URL, ":") || strings.HasPrefix(s.URL, "/") || strings.HasPrefix(strings.ToLower(s.URL), "file:")
	if folder {
		return fmt.Errorf("the %s would be read from a folder of this machine, %s, and this app is not of the catalogue; give a repository's address, or add the app to the catalogue", what, s.URL)
	}
	if s.CredentialsFile != "" {
		return fmt.Errorf("the %s would be fetched with credentials from a file of this machine, and this app is not of the catalogue; use what needs none, or add the app to the catalogue", what)
	}
	return nil
}
