//go:build vm

package machine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
)

// vmUserData tells this machine that it booted, serves a page that counts its
// boots, and turns itself off when it is asked to.
const vmUserData = `#cloud-config
write_files:
- path: /usr/local/bin/page
  permissions: '0755'
  content: |
    #!/usr/bin/python3
    import http.server, os, subprocess
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(open('/root/boots').read().encode())
            if self.path == '/off':
                subprocess.Popen(['systemctl', 'poweroff'])
    http.server.HTTPServer(('', 80), Page).serve_forever()
- path: /etc/systemd/system/page.service
  content: |
    [Service]
    ExecStartPre=/bin/sh -c 'echo boot >>/root/boots; sync'
    ExecStart=/usr/local/bin/page
    [Install]
    WantedBy=multi-user.target
runcmd:
- [curl, -sS, --retry, '5', --retry-connrefused, 'http://HOST/booted']
- [systemctl, daemon-reload]
- [systemctl, enable, --now, --no-block, page.service]
`

// startTestVM starts a machine that reports to this one, and returns it with
// the paths it asked for.
func startTestVM(t *testing.T, cfg VMConfig, host string) (*VM, <-chan string) {
	t.Helper()
	asked := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.UserData = []byte(strings.ReplaceAll(vmUserData, "HOST", host+":"+address.Port()))
	console := &testutil.Buffer{}
	cfg.Image, cfg.Forward, cfg.Console, cfg.Dir = testImage(t), []int{80}, console, t.TempDir()
	if cfg.EC2 != nil {
		ec2 := cfg.EC2.cfg
		ec2.UserData = cfg.UserData
		if cfg.EC2, err = NewIMDS(ec2); err != nil {
			t.Fatal(err)
		}
	}
	v, err := StartVM(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		noError(t, v.Close())
		if t.Failed() {
			t.Logf("console:\n%s", console)
		}
	})
	return v, asked
}

// page waits for a page of the machine that is not in old.
func page(t *testing.T, v *VM, path, old string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s%s", v.Addr(80), path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			body, err := io.ReadAll(res.Body)
			noError(t, res.Body.Close())
			if err == nil && string(body) != old {
				return string(body)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no page after 5 minutes: %v", ctx.Err())
		case <-v.Done():
			state, err := v.State()
			t.Fatalf("the machine is %s: %v", state, err)
		}
	}
}

func TestVMNoCloudLife(t *testing.T) {
	began := time.Now()
	v, asked := startTestVM(t, VMConfig{Name: "nocloud"}, HostFromNoCloud)
	t.Logf("accelerated: %v", v.Accelerated())
	if got := page(t, v, "/", ""); got != "boot\n" {
		t.Errorf("first boot: the page is %q", got)
	}
	t.Logf("a page after %v", time.Since(began).Round(time.Second))
	if path := <-asked; path != "/booted" {
		t.Errorf("the machine asked this one for %q", path)
	}

	began = time.Now()
	if err := v.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := page(t, v, "/", "boot\n"); got != "boot\nboot\n" {
		t.Errorf("after a reset: the page is %q; the disk was to stay and the unit to start", got)
	}
	t.Logf("a page after %v more", time.Since(began).Round(time.Second))
	if len(asked) != 0 {
		t.Errorf("the user-data ran twice")
	}

	page(t, v, "/off", "")
	select {
	case <-v.Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the machine was not turned off after 2 minutes")
	}
	if state, err := v.State(); state != PoweredOff || err != nil {
		t.Errorf("the machine is %s (%v), it turned itself off", state, err)
	}
}

func TestVMOnEC2(t *testing.T) {
	began := time.Now()
	cfg := VMConfig{Name: "ec2"}
	signer, err := NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg.EC2, err = NewIMDS(MetadataConfig{InstanceID: "i-0123456789abcdef0", MAC: cfg.MAC(), LaunchTime: began, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	v, asked := startTestVM(t, cfg, HostFromEC2)
	if got := page(t, v, "/", ""); got != "boot\n" {
		t.Errorf("the page is %q", got)
	}
	t.Logf("a page after %v", time.Since(began).Round(time.Second))
	if path := <-asked; path != "/booted" {
		t.Errorf("the machine asked this one for %q", path)
	}
	if !strings.Contains(v.cfg.Console.(*testutil.Buffer).String(), "Datasource DataSourceEc2Local") {
		t.Error("cloud-init did not find out by itself that it is on EC2")
	}
	if err := v.PowerOff(t.Context()); err != nil {
		t.Error(err)
	}
}
