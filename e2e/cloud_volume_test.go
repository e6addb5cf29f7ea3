//go:build vm

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil"
	"popup/web/api"
	"popup/web/client"
)

// TestVMVolume: what a visitor wrote is there after the machine was replaced, on the
// volume that moved, and in the archive after that.
func TestVMVolume(t *testing.T) {
	t.Parallel()
	image(t)
	d := newDesk(t, "127.0.0.1", nil, "--cloud", "vm", "--guest-package", "php-fpm",
		"--guest-images", filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine"))
	event, first := d.launch(console.AppRequest{App: "guestbook", Volume: true}, time.Now().Add(2*time.Hour), vmBoot)
	sign(t, first.Address, "Ada Lovelace")

	replaced, err := d.Replace(t.Context(), first.ID, false)
	noError(t, err)
	var second api.Instance
	eventually(t, 2*vmBoot, "takes its place", func() error {
		all, err := d.Instances(t.Context(), client.InstanceQuery{})
		if err != nil {
			return err
		}
		for _, i := range all.Instances {
			if i.ID == replaced.Instance {
				second = i
			}
		}
		if second.State != "live" {
			return fmt.Errorf("%s is %s: %s", replaced.Instance, second.State, second.Failure)
		}
		return nil
	})
	page(t, second.Address, "Ada Lovelace", time.Minute)
	sign(t, second.Address, "Grace Hopper")

	_, err = d.EndEvent(t.Context(), event, "fair")
	noError(t, err)
	receipt := d.provenGone(event, first.ID, second.ID)
	if len(receipt.Things) == 0 || receipt.Instances[1].Archive == nil {
		t.Errorf("the receipt names no volume, or no archive: %+v", receipt)
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "vm/.volumes/*")); err != nil || len(left) > 0 {
		t.Errorf("of volumes is left %q, %v", left, err)
	}
}

// sign has a visitor write into the guestbook at an address.
func sign(t *testing.T, address, name string) {
	t.Helper()
	testutil.FillForm(t, &http.Client{Timeout: time.Minute}, address+"/", url.Values{"name": {name}, "message": {"What a day"}})
	page(t, address, name, time.Minute)
}
