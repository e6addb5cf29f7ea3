package e2e

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/internal/machine"
	"popup/internal/testutil"
	"popup/internal/testutil/ec2fake"
	"popup/userdata"
	"popup/web/client"
)

// TestEC2 is a whole event on a fake of EC2, whose machines are processes that find the
// metadata of theirs: launched, identified, protected, archived, ended, and nothing left.
func TestEC2(t *testing.T) {
	signer, err := machine.NewIdentitySigner(time.Now())
	noError(t, err)
	certs := t.TempDir()
	noError(t, os.WriteFile(filepath.Join(certs, "ours.pem"), signer.CertificatePEM(), 0o600))
	fake := ec2fake.New(t, ec2fake.Options{})
	d := newDesk(t, ownAddress(t), []string{"AWS_ENDPOINT_URL=" + fake.URL, "AWS_ACCESS_KEY_ID=" + fake.AccessKey, "AWS_SECRET_ACCESS_KEY=" + fake.SecretKey},
		"--cloud", "ec2", "--ec2-region", "eu-central-1", "--identity-certs", certs)
	racks := &rack{t: t, fake: fake, signer: signer, seen: map[string]bool{}}
	racks.power()

	event, i := d.launch(console.AppRequest{App: "guestbook"}, time.Now().Add(time.Hour), 2*time.Minute)
	seen := fake.Instances()
	if len(seen) != 1 || i.Machine != seen[0].ID || seen[0].Behaviour != "terminate" || seen[0].MetadataTokens != "required" {
		t.Fatalf("%s runs on %q, and EC2 has %+v", i.ID, i.Machine, seen)
	}
	eventually(t, time.Minute, "is protected", func() error {
		if !fake.Instances()[0].Protected {
			return errors.New("it is not")
		}
		return nil
	})
	d.kill() // and its successor finds all of it
	d.start()
	_, err = d.EndEvent(t.Context(), event, "fair")
	noError(t, err)
	receipt := d.provenGone(event, i.ID)
	if len(receipt.Things) == 0 || receipt.Instances[0].Archive == nil {
		t.Errorf("the receipt names no group, or no archive: %+v", receipt)
	}
	if left := fake.Left(); len(left) > 0 {
		t.Errorf("EC2 still has %q", left)
	}
	if all, err := d.Instances(t.Context(), client.InstanceQuery{}); err != nil || len(fake.Instances()) != 1 {
		t.Errorf("launched were %+v, for %+v, %v", fake.Instances(), all, err)
	}
}

// ownAddress is one of this machine's that is no loopback, where a console has a
// certificate of its own.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	noError(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but its loopback one")
	return ""
}

// A rack runs what a fake of EC2 launches.
type rack struct {
	t      *testing.T
	fake   *ec2fake.Fake
	signer *machine.IdentitySigner
	seen   map[string]bool
}

// power looks for machines that were launched, until the test is over.
func (r *rack) power() {
	ctx, stop := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	r.t.Cleanup(func() { stop(); running.Wait() })
	running.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, i := range r.fake.Instances() {
				if !r.seen[i.ID] && i.State == "running" {
					r.seen[i.ID] = true
					running.Go(func() { r.run(ctx, i) })
				}
			}
		}
	})
}

// run is a machine: its popup, from its user-data, with its metadata service, until it
// turns itself off or is ended.
func (r *rack) run(ctx context.Context, i ec2fake.Instance) {
	service, err := machine.NewIMDS(machine.MetadataConfig{InstanceID: i.ID, Region: i.Region, Zone: i.Zone, UserData: i.UserData, LaunchTime: i.Launched, Signer: r.signer})
	noError(r.t, err)
	metadata := httptest.NewServer(service)
	defer metadata.Close()
	plan, err := userdata.Read(i.UserData)
	noError(r.t, err)
	config, err := userdata.EncodePlan(plan)
	noError(r.t, err)
	root, err := os.MkdirTemp("", "popup-rack-")
	noError(r.t, err)
	defer os.RemoveAll(root)
	noError(r.t, os.Chmod(root, 0o711))
	path := filepath.Join(root, "etc/popup/config.yaml")
	noError(r.t, os.MkdirAll(filepath.Dir(path), 0o700))
	noError(r.t, os.WriteFile(path, config, 0o600))
	ctx, end := context.WithCancel(ctx)
	defer end()
	cmd := exec.CommandContext(ctx, program, "up", "--root", root, "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(testutil.GitEnv(), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+metadata.URL)
	var log testutil.Buffer
	cmd.Stderr = &log
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ended:
			tick.Stop()
			r.fake.PowerOff(i.ID)
			if r.t.Failed() {
				r.t.Logf("the machine said:\n%s", log.String())
			}
			return
		case <-tick.C:
		}
		for _, now := range r.fake.Instances() {
			if now.ID == i.ID && !strings.HasPrefix(now.State, "running") {
				end()
			}
		}
	}
}
