package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"popup/internal/testutil/ec2fake"
)

// fleet launches so many instances, from number 1 on.
func (s *site) fleet(n int) {
	s.t.Helper()
	for n := range n {
		l := s.ask(fmt.Sprintf("i%d", n+1))
		l.Number = n + 1
		if _, err := s.Launch(s.t.Context(), l); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Neighbours are in different zones, and then in different regions.
func TestPlacesOverRegionsAndSubnets(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{Zones: 2})
	_, first := fake.AddVPC("us-east-1")
	_, second := fake.AddVPC("us-east-1")
	_, third := fake.AddVPC("eu-central-1")
	s := newSiteOn(t, fake, func(o *Options) { o.Regions, o.Subnets = fake.Regions(), slices.Concat(first, second, third) })
	s.fleet(7)
	var zones []string
	at := map[string]bool{}
	for _, p := range must(s.places(t.Context())) {
		zones = append(zones, p.zone)
	}
	want := []string{"us-east-1a", "us-east-1b", "eu-central-1a", "eu-central-1b", "us-east-1a", "us-east-1b"}
	if !slices.Equal(zones, want) {
		t.Errorf("places are in %q, want %q", zones, want)
	}
	for _, i := range s.live() {
		at[i.Subnet] = true
	}
	if len(at) != 6 {
		t.Errorf("7 instances are in %d subnets, of 6", len(at))
	}
	if groups := fake.Groups(); len(groups) != 3 {
		t.Errorf("there are %d groups, want one a network", len(groups))
	}
	for n := range 7 {
		s.terminate(fmt.Sprintf("i%d", n+1))
	}
	s.removeAll("ev1")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A machine starts where the volume is that its state is on, and where its image is.
func TestPlaceOfVolumeAndImage(t *testing.T) {
	fake := ec2fake.New(t, ec2fake.Options{})
	s := newSiteOn(t, fake, func(o *Options) { o.Regions = fake.Regions() })
	eu := s.regions[1]
	v, err := eu.ec2.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-central-1b"), Size: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for attempt := range 2 {
		l := s.ask(fmt.Sprintf("with-volume-%d", attempt))
		l.Volume, l.Attempt = *v.VolumeId, attempt
		if _, err := s.Launch(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if all := s.live(); all[attempt].Zone != "eu-central-1b" {
			t.Errorf("it is in %s", all[attempt].Zone)
		}
	}
	l := s.ask("from-image")
	l.Image = fake.Image("eu-central-1", "al2023", "x86_64")
	if _, err := s.Launch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if i := s.live()[2]; i.Zone != "eu-central-1a" || i.Image != l.Image || i.Type != "t3.small" {
		t.Errorf("it is %+v", i)
	}
	l.Architectures = []string{"arm64"}
	if r := refusal(t, s.Check(t.Context(), l)); !says(r, "this app runs on arm64, and the image * is for amd64") {
		t.Error(r)
	}
}

// Two consoles, of which one was thought dead, ask for the same: there is one machine,
// and one group.
func TestTwoProcesses(t *testing.T) {
	for _, profile := range profiles {
		for name, lag := range map[string]time.Duration{"": 0, "/described late": 50 * time.Millisecond} {
			t.Run(string(profile)+name, func(t *testing.T) {
				s := newSite(t, profile, func(o *Options) { o.Settle = 3 * time.Second })
				s.fake.Lag(lag)
				var wg sync.WaitGroup
				for range 4 {
					s.open()
					for n := range 3 {
						wg.Go(func(c *Cloud) func() {
							return func() {
								if _, err := c.Launch(context.WithoutCancel(t.Context()), s.ask(fmt.Sprint("i", n))); err != nil {
									t.Error(err)
								}
							}
						}(s.Cloud))
					}
				}
				wg.Wait()
				if all, groups := s.live(), s.fake.Groups(); len(all) != 3 || len(groups) != 1 || len(groups[0].Rules) < 2 {
					t.Errorf("there are %d machines, and %+v", len(all), groups)
				}
				for n := range 3 {
					s.terminate(fmt.Sprint("i", n))
				}
				s.removeAll("ev1")
			})
		}
	}
}

// A token fits, differs, and tells whose it is.
func TestTokens(t *testing.T) {
	c, other := must(open(t.Context(), at("c1"))), must(open(t.Context(), at("c2")))
	long := fmt.Sprintf("%0128d", 1)
	seen := map[string]bool{}
	for _, instance := range []string{"one", "1.one", "0.one", "a..b", "fair-2026-abcdef-12", long} {
		for attempt, token := range c.tokens(instance) {
			if len(token) > mostToken || seen[token] || token != c.token(instance, attempt) {
				t.Errorf("%s of %s, %d", token, instance, attempt)
			}
			seen[token] = true
		}
		name, ours := c.instanceOf(c.token(instance, 3))
		if !ours || name != instance && (instance != long || name != "") {
			t.Errorf("%s is %q, %t", instance, name, ours)
		}
		if name, ours := other.instanceOf(c.token(instance, 3)); ours || name != "" {
			t.Errorf("%s is another console's: %q", instance, name)
		}
	}
}

func at(name string) Options { return Options{Console: name, Regions: []string{"us-east-1"}} }

// Whatever token somebody gave a machine, it names an instance only where we would have
// made it.
func TestTokensOfStrangers(t *testing.T) {
	c := must(open(t.Context(), at("c1")))
	mark := c.tokenMark()
	for token, want := range map[string]bool{"": false, "popup": false, "popup.0.one": false, mark: true, mark + ".": true, mark + "..": true, mark + "~": true,
		mark + ".00.one": true, mark + ".-1.one": true, mark + ".100.one": true, mark + ".0.../x": true, mark + ".0.a b": true, mark + "0.one": true,
		mark + ".0." + strings.Repeat("x", 60): true} {
		if name, ours := c.instanceOf(token); name != "" || ours != want {
			t.Errorf("%q is %q, ours: %t", token, name, ours)
		}
	}
}
