package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"popup/cloud/ec2/prices"
	"popup/console"
	"popup/internal/wire"
)

// A Profile says what the other side can do.
type Profile string

const (
	// AWS is Amazon's EC2.
	AWS Profile = "aws"
	// Compat is Eucalyptus, and what is like it: it refuses parameters that it does not
	// know, has no public images, takes tags only afterwards, and encrypts nothing.
	Compat Profile = "compat"
)

// Options are what the cloud is opened with. Credentials are found as by all users of
// AWS's SDK: in the environment, in a profile, or by the role of this machine.
type Options struct {
	Profile  Profile  // empty: AWS
	Regions  []string // empty: the SDK's, as of AWS_REGION or a profile
	Endpoint string   // URL; empty: the SDK's, as of AWS_ENDPOINT_URL_EC2
	// Image is what machines start from: an id, the path of an SSM parameter that holds
	// one, or a name of Images. Empty: debian13; with Compat an id must be given.
	Image string
	// Types of machines, one for each architecture; the first one that an app can run on
	// is taken. Empty: t4g.small and t3.small; with Compat there must be one.
	Types []string
	// Subnets that machines are spread over; empty: those of the default VPC, one a zone.
	Subnets         []string
	InstanceProfile string // name or ARN, whose role the machines get; empty: none
	Spot            bool   // at the price of what is left over, and ended when that is gone
	RootGiB         int32  // of the root volume; 0: the image's, or what the app asks for where that is more
	VolumeType      string // of volumes; empty: gp3, with Compat the other side's own choice
	// Console marks what is this console's; it never changes. All that the console
	// makes is tagged with it, and nothing else is ever touched.
	Console string
	// Store is where it is kept which regions were ever used, so that what was made in one is
	// found, shown and removed also by a console that is told of others. Nil: it is not kept,
	// and what is in a region that is not named is taken to be gone.
	Store console.Store
	// File is where one console alone kept that before: the store takes it over, and the file
	// goes. It need not be there.
	File string
	// Forget are regions in which nothing is left, and that are asked no more.
	Forget []string
	// Prices is a file with a table of prices that replaces the one of this program; empty:
	// that one. It is read anew for each price, so that a newer one counts from then on.
	Prices string
	// Identify says which machine a proof is of; nil: this cloud vouches for none.
	Identify func(wire.Identity) (machine string, err error)
	Log      *slog.Logger
	HTTP     *http.Client // nil: one that waits 30 s for an answer
	// Pause is how long to wait at first before the same is asked again; 0: a second.
	Pause time.Duration
	// Settle is how long EC2 may take to describe what it made; 0: 30 s.
	Settle time.Duration
}

var (
	consoleForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	regionForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	typeForm    = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+$`)
	subnetForm  = regexp.MustCompile(`^subnet-[0-9a-f]+$`)
	imageForm   = regexp.MustCompile(`^[ae]mi-[0-9a-fA-F]+$`)
)

const mostRootGiB = 16384

// complete fills in what was left out.
func (o *Options) complete() {
	o.Profile = cmp.Or(o.Profile, AWS)
	if o.Profile == AWS {
		o.Image = cmp.Or(o.Image, "debian13")
		o.VolumeType = cmp.Or(o.VolumeType, "gp3")
		if len(o.Types) == 0 {
			o.Types = []string{"t4g.small", "t3.small"}
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Pause = cmp.Or(o.Pause, time.Second)
	o.Settle = cmp.Or(o.Settle, 30*time.Second)
}

// Validate tells everything that is wrong with o.
func (o Options) Validate() error {
	o.complete()
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Profile != AWS && o.Profile != Compat {
		wrong("there is no profile %q of EC2; --ec2-profile is %s or %s", o.Profile, AWS, Compat)
	}
	if !consoleForm.MatchString(o.Console) {
		wrong("what a console marks its machines with has 1 to 64 letters, digits, dots, - and _, and not %q", o.Console)
	}
	for _, r := range o.Regions {
		if !regionForm.MatchString(r) {
			wrong("%q is no region; write --ec2-region like eu-central-1", r)
		}
	}
	for _, r := range o.Forget {
		if !regionForm.MatchString(r) {
			wrong("%q is no region; write --ec2-forget-region like eu-central-1", r)
		}
	}
	if o.Endpoint != "" {
		if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			wrong("--ec2-endpoint is no address of a server; write it like https://ec2.example.org:8773")
		}
	}
	errs = append(errs, o.checkImage(), o.checkTypes())
	for _, s := range o.Subnets {
		if !subnetForm.MatchString(s) {
			wrong("%q is no subnet; write --ec2-subnet like subnet-0a1b2c3d", s)
		}
	}
	if o.Spot && o.Profile == Compat {
		wrong("only AWS has spot machines; leave --ec2-spot out")
	}
	if o.RootGiB < 0 || o.RootGiB > mostRootGiB {
		wrong("a root volume has 1 to %d GiB, and not %d; change --ec2-root", mostRootGiB, o.RootGiB)
	}
	if _, err := prices.Load(o.Prices); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o Options) checkImage() error {
	switch _, named := public[o.Image]; {
	case imageForm.MatchString(o.Image) && len(o.Regions) > 1:
		return fmt.Errorf("the image %s is in one region alone, and there are %d; give one --ec2-region, or a name of the image", o.Image, len(o.Regions))
	case imageForm.MatchString(o.Image), o.Profile == AWS && (named || strings.HasPrefix(o.Image, "/")):
		return nil
	case o.Profile == Compat:
		return fmt.Errorf("there are no public images beside AWS, so --ec2-image must be the id of one, like emi-0a1b2c3d, and not %q", o.Image)
	}
	return fmt.Errorf("%q is no image; --ec2-image is an id like ami-0a1b2c3d, the path of an SSM parameter, or one of %s", o.Image, strings.Join(Images(), ", "))
}

func (o Options) checkTypes() error {
	var errs []error
	if len(o.Types) == 0 {
		errs = append(errs, errors.New("which type of machine is there? Give --ec2-type, like m1.medium"))
	}
	seen := map[string]string{}
	for _, t := range o.Types {
		if !typeForm.MatchString(t) {
			errs = append(errs, fmt.Errorf("%q is no type of machine; write --ec2-type like t4g.small", t))
		} else if other := seen[archOf(t)]; other != "" {
			errs = append(errs, fmt.Errorf("%s and %s are both %s; give one --ec2-type for each architecture", other, t, archOf(t)))
		}
		seen[archOf(t)] = t
	}
	return errors.Join(errs...)
}

// graviton are the types whose processor is Amazon's own: a g after the generation.
var graviton = regexp.MustCompile(`^(a1|[a-z][a-z-]*[0-9]+[a-z]*g[a-z]*)\.`)

// archOf is the architecture of a type of machines, as Go names it.
func archOf(machineType string) string {
	if graviton.MatchString(machineType) {
		return "arm64"
	}
	return "amd64"
}

// typeFor is the type for an architecture; empty: there is none.
func (o Options) typeFor(arch string) string {
	if i := slices.IndexFunc(o.Types, func(t string) bool { return archOf(t) == arch }); i >= 0 {
		return o.Types[i]
	}
	return ""
}

// Identify implements console.Identifier.
func (v vouching) Identify(_ context.Context, proof wire.Identity) (machine string, err error) {
	return v.opts.Identify(proof)
}
