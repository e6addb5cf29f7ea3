package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"popup/apps"
	"popup/datasync"
	"popup/internal/tree"
	"popup/internal/wire"
	"popup/launcher/ending"
	"popup/userdata"
)

// appFlags are what whoever runs an app decides, and its manifest does not.
type appFlags struct {
	service, data, until, zone string
	set                        []string
}

func (f *appFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.service, "service", "", "URL[#REF] of the code, instead of what the manifest names")
	cmd.Flags().StringVar(&f.data, "data", "", "URL[#REF] of the data, instead of what the manifest names")
	cmd.Flags().StringVar(&f.until, "until", "", "when it ends: 2026-05-31, 2026-05-31T18:00, or a length of time like 7d")
	cmd.Flags().StringVar(&f.zone, "zone", "", "time zone of --until, like Europe/Zurich (default UTC)")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "KEY=VALUE, a setting of the app; may be given again")
}

// given tells which of the manifest's sources the flags replace.
func (f appFlags) given() apps.Given { return apps.Given{Service: f.service != "", Data: f.data != ""} }

// overrides turns the flags into what a plan is made with.
func (f appFlags) overrides() (userdata.Overrides, error) {
	o := userdata.Overrides{Service: absolute(f.service), Data: absolute(f.data), Until: f.until, Now: time.Now(), Settings: map[string]string{}}
	for _, pair := range f.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return o, usageError{fmt.Errorf("--set %s is not KEY=VALUE", key)}
		}
		o.Settings[key] = value
	}
	if f.zone != "" {
		zone, err := time.LoadLocation(f.zone)
		if err != nil {
			return o, usageError{fmt.Errorf("--zone %s is not a time zone; write one like Europe/Zurich", f.zone)}
		}
		o.Zone = zone
	}
	return o, nil
}

// absolute makes the path of a folder that is here an absolute one; an address stays as it is.
func absolute(address string) string {
	path, ref, hasRef := strings.Cut(address, "#")
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return address
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return address
	}
	if hasRef {
		return abs + "#" + ref
	}
	return abs
}

// readPlan reads an appliance config, or makes a plan of a manifest: a file, a
// folder, a repository, or the id of a shipped app. What was detected, where
// there is no app.yaml, is told as a sentence.
func readPlan(ctx context.Context, config string, f appFlags) (plan wire.Plan, detected string, err error) {
	if text, err := os.ReadFile(config); err == nil && userdata.IsPlan(text) {
		if f.service+f.data+f.until+f.zone != "" || len(f.set) > 0 {
			return plan, "", usageError{errors.New("an appliance config says all of --service, --data, --until, --zone and --set itself; change it there")}
		}
		if plan, err = userdata.DecodePlan(text); err != nil {
			return plan, "", usageError{fmt.Errorf("read %s: %w", config, err)}
		}
		if err := checkPlan(plan); err != nil {
			return plan, "", usageError{fmt.Errorf("read %s: %w", config, err)}
		}
		return plan, "", nil
	}
	o, err := f.overrides()
	if err != nil {
		return plan, "", err
	}
	loaded, origin, err := loadApp(ctx, config, f.given())
	if err != nil {
		return plan, "", err
	}
	o.Origin, o.Here = origin, true
	if plan, err = userdata.NewPlan(loaded, o); err != nil {
		return plan, "", usageError{err}
	}
	if plan.End != nil {
		plan.End.PowerOff = false // only a machine that user-data set up is there for the app alone
	}
	return plan, loaded.Detected, nil
}

// loadApp reads the manifest of an app that is named by a path, an address, or
// the id of a shipped one.
func loadApp(ctx context.Context, name string, given apps.Given) (apps.Loaded, userdata.Origin, error) {
	if _, err := os.Stat(name); err == nil {
		loaded, err := apps.Load(name)
		if err != nil {
			return loaded, userdata.Origin{}, err
		}
		dir, err := filepath.Abs(loaded.Dir)
		return loaded, userdata.Origin{Folder: dir}, err
	}
	if id := apps.AppID(name); !strings.ContainsAny(name, "/:.") {
		loaded, err := apps.LoadShipped(id)
		return loaded, userdata.Origin{Shipped: id}, err
	}
	if !apps.IsRemote(name) {
		return apps.Loaded{}, userdata.Origin{}, noSuchApp(name)
	}
	return loadRepository(ctx, name, given)
}

// noSuchApp says what name might have been meant to be.
func noSuchApp(name string) error {
	hint := ""
	var problems apps.Problems
	if _, err := apps.LoadShipped(apps.AppID(name)); errors.As(err, &problems) {
		hint = "; " + problems[0].Hint
	}
	return usageError{fmt.Errorf("%s is neither a folder, a file, a repository's address nor an app that ships with popup%s", name, hint)}
}

// checkPlan tells what keeps a plan from ever being served: what NewPlan would
// not have made, for those who write or change one by hand.
func checkPlan(plan wire.Plan) error {
	errs := []error{userdata.CheckPlan(plan)}
	if plan.End != nil {
		_, err := ending.ParseEnd(*plan.End)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// loadRepository reads the manifest in a repository.
func loadRepository(ctx context.Context, address string, given apps.Given) (apps.Loaded, userdata.Origin, error) {
	dir, cleanup, err := fetchRepository(ctx, address)
	if err != nil {
		return apps.Loaded{}, userdata.Origin{}, err
	}
	defer cleanup()
	repository, _, _ := strings.Cut(address, "#")
	loaded, err := apps.LoadCheckout(dir, repository, given)
	return loaded, userdata.Origin{Repository: address}, err
}

// fetchRepository brings the newest commit of a repository into a temporary folder.
func fetchRepository(ctx context.Context, address string) (dir string, cleanup func(), err error) {
	url, ref, _ := strings.Cut(address, "#")
	source, err := datasync.NewSource(wire.Source{URL: url, Ref: ref}, datasync.SourceOptions{})
	if err != nil {
		return "", nil, usageError{err}
	}
	rev, err := source.Head(ctx)
	if err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp("", "popup-fetch-"); err != nil {
		return "", nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	cleanup = func() { _ = os.RemoveAll(dir) } // the system clears what is left in its temporary folder
	if err := fetchInto(ctx, source, rev, dir); err != nil {
		cleanup()
		return "", nil, err
	}
	return dir, cleanup, nil
}

func fetchInto(ctx context.Context, source datasync.Source, rev datasync.Revision, dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := tree.NewWriter(root, tree.WriterOptions{Writable: true}) // it is removed again
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := source.Fetch(ctx, rev, "", w); err != nil {
		return err
	}
	_, err = w.Finish()
	return err
}

// shippedFolder is the copy of an app inside this binary.
func shippedFolder(id string) (fs.FS, error) { return apps.ShippedFS(apps.AppID(id)) }

// powerOff returns what turns this machine off: only where the plan says so and
// popup's root is the machine's.
func powerOff(root string, plan wire.Plan) func(context.Context) error {
	if root != "/" || plan.End == nil || !plan.End.PowerOff {
		return nil
	}
	return func(ctx context.Context) error {
		// Power-off, not halt: it is what a cloud counts as the machine's own end.
		for _, argv := range [][]string{{"systemctl", "poweroff"}, {"poweroff"}} {
			if _, err := exec.LookPath(argv[0]); err != nil {
				continue
			}
			if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("power off: %w: %s", err, strings.TrimSpace(string(out)))
			}
			return nil
		}
		return errors.New("power off: this machine has neither systemctl nor poweroff")
	}
}
