package console

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/cloud/ec2"
	"popup/console"
	"popup/console/catalogue"
	"popup/internal/testutil/ec2fake"
	"popup/internal/wire"
	"popup/store/sqlite"
	"popup/userdata"
)

// A bakery is a console with a fake of EC2.
type bakery struct {
	*console.Console
	t    *testing.T
	fake *ec2fake.Fake
}

func newBakery(t *testing.T) *bakery {
	fake := ec2fake.New(t, ec2fake.Options{})
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": fake.AccessKey, "AWS_SECRET_ACCESS_KEY": fake.SecretKey, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
	cloud, err := ec2.Open(t.Context(), ec2.Options{Regions: fake.Regions()[:1], Endpoint: fake.URL, Console: "console-1", Pause: 2 * time.Millisecond, Settle: 200 * time.Millisecond})
	must(t, err)
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store"))
	must(t, err)
	keys, err := console.OpenKeys(filepath.Join(t.TempDir(), "secrets.key"))
	must(t, err)
	offered, err := catalogue.Open(t.Context(), catalogue.Options{Dir: t.TempDir()})
	must(t, err)
	c, err := console.New(t.Context(), console.Options{Store: store, Keys: keys, Catalogue: offered, Clouds: map[string]console.Cloud{"ec2": cloud}, Cloud: "ec2",
		Reach: map[string]console.Reach{"ec2": {Anonymous: true}}, URL: elsewhere, Version: "1.2.3",
		Binary: userdata.Binary{URLs: []string{elsewhere + "/popup-{arch}"}, SHA256: map[string]string{"amd64": fmt.Sprintf("%x", sha256.Sum256(nil)), "arm64": fmt.Sprintf("%x", sha256.Sum256([]byte("a")))}}})
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		must(t, store.Close())
	})
	return &bakery{c, t, fake}
}

// until waits for what takes the console a few looks at its cloud.
func (b *bakery) until(what string, done func() bool) {
	b.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(4 * time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-late:
			b.t.Fatalf("%s: not within 4 minutes; left are %q", what, b.fake.Left())
		}
	}
}

// machine is the one that runs.
func (b *bakery) machine() (found ec2fake.Instance) {
	b.t.Helper()
	b.until("a machine runs", func() bool {
		all := b.fake.Instances()
		k := slices.IndexFunc(all, func(i ec2fake.Instance) bool { return i.State == "running" })
		if k >= 0 {
			found = all[k]
		}
		return k >= 0
	})
	return found
}

// says has the machine enrol and report, as popup on it would.
func (b *bakery) says(m ec2fake.Instance, r wire.Report) wire.Plan {
	b.t.Helper()
	plan, err := userdata.Read(m.UserData)
	must(b.t, err)
	_, key, err := ed25519.GenerateKey(nil)
	must(b.t, err)
	sign := func(path string, v any) ([]byte, console.Signature) {
		body, err := json.Marshal(v)
		must(b.t, err)
		return body, console.Signature{Instance: plan.Instance, Value: wire.Signed{Method: "POST", Path: path, Instance: plan.Instance, Body: body}.Sign(key)}
	}
	body, signature := sign(wire.PathEnrol, wire.Enrolment{Version: wire.TalkVersion, Instance: plan.Instance, Token: plan.Console.Token, Key: key.Public().(ed25519.PublicKey), Popup: "1.2.3", Arch: "amd64"})
	_, err = b.Enrol(b.t.Context(), body, signature)
	must(b.t, err)
	r.Version, r.Seq = wire.TalkVersion, 1
	body, signature = sign(wire.PathReport, r)
	_, err = b.Report(b.t.Context(), body, signature)
	must(b.t, err)
	return plan
}

// TestBakeOnEC2: of the machine that baked nothing is left but its image; a launch starts
// from it, and once that is removed nothing is left at all.
func TestBakeOnEC2(t *testing.T) {
	b := newBakery(t)
	o, err := b.Bake(t.Context(), console.System, console.BakeRequest{App: "notice"}, "")
	must(t, err)
	m := b.machine()
	if plan := b.says(m, wire.Report{Baked: &wire.Baked{Release: "4e1ea5e"}}); !plan.Bake {
		t.Fatalf("the machine is told %+v", plan)
	}
	b.fake.PowerOff(m.ID)
	b.until("it is baked", func() bool {
		o, err = b.Operation(t.Context(), console.System, o.ID)
		must(t, err)
		return o.State != console.OperationRunning
	})
	if o.State != console.OperationDone || o.Failure != "" {
		t.Fatalf("it is %s: %s", o.State, o.Failure)
	}
	if left := b.fake.Left(); len(left) != 2 {
		t.Errorf("left are %q, want the image and its snapshot", left)
	}
	images, err := b.Images(t.Context(), console.System)
	must(t, err)
	if len(images) != 1 || !images[0].Ready || images[0].App != "notice" || images[0].Release() != "4e1ea5e" || images[0].Version() != "1.2.3" {
		t.Fatalf("images are %+v", images)
	}
	p, err := b.Preview(t.Context(), console.System, console.LaunchRequest{Event: console.EventRequest{Title: "Fair", End: "7d"}, Apps: []console.AppRequest{{App: "notice"}}})
	must(t, err)
	if !strings.Contains(strings.Join(p.Notes, "\n"), "starts from an image of") {
		t.Errorf("a preview says %q", p.Notes)
	}
	o, err = b.Launch(t.Context(), console.System, console.LaunchRequest{Event: console.EventRequest{Name: "fair", Title: "Fair", End: "7d"}, Apps: []console.AppRequest{{App: "notice"}}}, "")
	must(t, err)
	m = b.machine()
	if plan := b.says(m, wire.Report{Live: true, Healthy: true}); m.Image != images[0].ID || plan.Bake {
		t.Errorf("launched from %s as %+v, want %s", m.Image, plan, images[0].ID)
	}
	i, err := b.Instance(t.Context(), console.System, o.Instances[0])
	must(t, err)
	if i.StartedFrom == nil || i.StartedFrom.ID != images[0].ID || i.Times.BakedCount != 1 || i.Times.PlainCount != 0 {
		t.Errorf("it says that it started from %+v, and %+v", i.StartedFrom, i.Times)
	}
	must(t, b.ForgetImage(t.Context(), console.System, images[0].ID))
	_, err = b.EndEvent(t.Context(), console.System, "fair", "fair")
	must(t, err)
	b.fake.PowerOff(m.ID)
	b.until("nothing is left", func() bool { return len(b.fake.Left()) == 0 })
}
