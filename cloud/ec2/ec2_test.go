package ec2

import (
	"testing"
	"time"

	"popup/cloud/cloudtest"
	"popup/console"
	"popup/internal/testutil/ec2fake"
)

var (
	_ console.Cloud      = (*Cloud)(nil)
	_ console.Holder     = (*Cloud)(nil)
	_ console.Protector  = (*Cloud)(nil)
	_ console.Identifier = vouching{}
)

func TestContract(t *testing.T) {
	for _, profile := range profiles {
		for name, lag := range map[string]time.Duration{"": 0, "/described late": 60 * time.Millisecond} {
			t.Run(string(profile)+name, func(t *testing.T) {
				cloudtest.Run(t, func(t *testing.T) cloudtest.World {
					s := newSite(t, profile)
					s.fake.Lag(lag)
					return s.world()
				})
			})
		}
	}
}

func TestContractOverRegions(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
		fake := ec2fake.New(t, ec2fake.Options{})
		return newSiteOn(t, fake, func(o *Options) { o.Regions = fake.Regions() }).world()
	})
}

// world is the site as the contract's suite has it.
func (s *site) world() cloudtest.World {
	return cloudtest.World{Launch: s.ask, Close: func() {}, Open: func() console.Cloud { s.open(); return s.Cloud }}
}
