package ec2

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
)

// A site is a fake of EC2, and a console's cloud on it.
type site struct {
	*Cloud
	t    *testing.T
	fake *ec2fake.Fake
	with Options
}

// profiles are what every fake of these tests is once.
var profiles = []Profile{AWS, Compat}

// newSite opens a cloud on a fake with nothing in it.
func newSite(t *testing.T, profile Profile, change ...func(*Options)) *site {
	t.Helper()
	return newSiteOn(t, ec2fake.New(t, ec2fake.Options{Compat: profile == Compat}), change...)
}

// newSiteOn opens a cloud on a fake; its first region is the one.
func newSiteOn(t *testing.T, fake *ec2fake.Fake, change ...func(*Options)) *site {
	t.Helper()
	signIn(t, fake.AccessKey, fake.SecretKey)
	s := &site{t: t, fake: fake}
	region := fake.Regions()[0]
	s.with = Options{Regions: []string{region}, Endpoint: fake.URL, Console: "console-1", Pause: 2 * time.Millisecond, Settle: 200 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	if region == "eucalyptus" {
		s.with.Profile, s.with.Image, s.with.Types = Compat, fake.Image(region, "debian-12", "x86_64"), []string{"m1.medium"}
	}
	for _, one := range change {
		one(&s.with)
	}
	s.open()
	return s
}

// signIn gives the SDK keys as its users do, and nothing of this machine besides.
func signIn(t *testing.T, access, secret string) {
	t.Helper()
	for _, env := range os.Environ() {
		if name, _, _ := strings.Cut(env, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// open opens the cloud as a console does that starts, with nothing of the one before.
func (s *site) open() {
	s.t.Helper()
	c, err := open(context.WithoutCancel(s.t.Context()), s.with)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Cloud = c
}

// ask asks for an instance of an event.
func (s *site) ask(instance string) console.Launch {
	return console.Launch{Instance: instance, Event: "fair", EventID: "ev1", Deployment: "dep1", App: "board", Number: 1,
		Console: "https://console.test", UserData: []byte("#!/bin/sh\n# " + instance + "\n"), Tags: map[string]string{"popup:version": "1.2.3"}}
}

func (s *site) launch(instance string) console.Machine {
	s.t.Helper()
	m, err := s.Launch(s.t.Context(), s.ask(instance))
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (s *site) terminate(instance string) {
	s.t.Helper()
	if err := s.Terminate(s.t.Context(), instance); err != nil {
		s.t.Fatal(err)
	}
}

// live are the fake's machines that are not ended.
func (s *site) live() []ec2fake.Instance {
	return slices.DeleteFunc(s.fake.Instances(), func(i ec2fake.Instance) bool { return i.State == "terminated" || i.State == "shutting-down" })
}

// one is the only machine there is.
func (s *site) one() ec2fake.Instance {
	s.t.Helper()
	all := s.live()
	if len(all) != 1 {
		s.t.Fatalf("there are %d machines, want one: %+v", len(all), all)
	}
	return all[0]
}

// machine is the only one that is listed; nil: none is.
func (s *site) machine() *console.Machine {
	s.t.Helper()
	all, err := s.Machines(s.t.Context())
	if err != nil || len(all) > 1 {
		s.t.Fatalf("listed are %+v, %v", all, err)
	}
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

// await waits until done.
func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	if err := s.until(s.t.Context(), 20*time.Second, func() (bool, error) { return done(), nil }); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// called says how often an action was called.
func (s *site) called(action string) int {
	n := 0
	for _, c := range s.fake.Calls() {
		if c.Action == action {
			n++
		}
	}
	return n
}

// each runs a test on a fake of each profile.
func each(t *testing.T, test func(*testing.T, *site), change ...func(*Options)) {
	for _, profile := range profiles {
		t.Run(string(profile), func(t *testing.T) { test(t, newSite(t, profile, change...)) })
	}
}
