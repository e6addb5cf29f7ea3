//go:build vm

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
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

var guestToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// sign has a visitor write into the guestbook at an address.
func sign(t *testing.T, address, name string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	noError(t, err)
	visitor := &http.Client{Jar: jar, Timeout: time.Minute}
	defer visitor.CloseIdleConnections()
	resp, err := visitor.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	noError(t, errors.Join(err, resp.Body.Close()))
	token := guestToken.FindSubmatch(text)
	if token == nil {
		t.Fatalf("the guestbook has no form:\n%s", text)
	}
	resp, err = visitor.PostForm(address+"/sign", url.Values{"token": {string(token[1])}, "name": {name}, "message": {"What a day"}})
	if err != nil {
		t.Fatal(err)
	}
	noError(t, resp.Body.Close())
	page(t, address, name, time.Minute)
}
