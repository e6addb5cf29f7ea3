package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"popup/cloud/container"
	"popup/cloud/ec2"
	"popup/cloud/local"
	"popup/cloud/manual"
	"popup/cloud/vm"
	"popup/console"
	"popup/internal/identity"
	"popup/internal/machine"
	"popup/internal/wire"
	"popup/web"
)

// cloudFlags say where instances come from.
type cloudFlags struct {
	names      []string
	host       string
	unconfined bool
	packages   []string
	imageCache string
	ec2        ec2.Options
	profile    string
	certs      string
}

func (f *cloudFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.names, "cloud", []string{"local"}, "where instances come from: "+strings.Join(cloudNames(), ", ")+"; may be given again, and the first is taken where none is asked for")
	flags.StringVar(&f.host, "local-host", "", "address of this machine that apps on it are reached at (default that of --listen; for a loopback one 127.0.0.2, where they get none of its cookies)")
	flags.BoolVar(&f.unconfined, "allow-unconfined", false, "launch anybody's app as a process here also where the kernel cannot confine it")
	flags.StringArrayVar(&f.packages, "guest-package", nil, "Debian package that machines of vm and container have from the start; may be given again")
	flags.StringVar(&f.imageCache, "guest-images", "", "folder that images of vm and container are built in, once (default one in your cache)")
	flags.StringVar(&f.profile, "ec2-profile", string(ec2.AWS), "what speaks EC2's API: aws, or compat for Eucalyptus and alike")
	flags.StringArrayVar(&f.ec2.Regions, "ec2-region", nil, "region; may be given again (default that of AWS_REGION, or of your AWS profile)")
	flags.StringArrayVar(&f.ec2.Forget, "ec2-forget-region", nil, "region in which nothing is left, and that is asked no more; may be given again, and for one start alone")
	flags.StringVar(&f.ec2.Endpoint, "ec2-endpoint", "", "`URL` of what speaks EC2's API (default AWS_ENDPOINT_URL_EC2, or Amazon's)")
	flags.StringVar(&f.ec2.Image, "ec2-image", "", "image: an id, the path of an SSM parameter, or one of "+strings.Join(ec2.Images(), ", ")+" (default debian13)")
	flags.StringArrayVar(&f.ec2.Types, "ec2-type", nil, "type of machine, one for each architecture (default t4g.small and t3.small)")
	flags.StringArrayVar(&f.ec2.Subnets, "ec2-subnet", nil, "subnet that machines are spread over; may be given again (default those of the default VPC)")
	flags.StringVar(&f.ec2.InstanceProfile, "ec2-instance-profile", "", "name or ARN of the profile whose role machines get (default none)")
	flags.BoolVar(&f.ec2.Spot, "ec2-spot", false, "take what is left over, for less, and lose it when that is gone")
	flags.Int32Var(&f.ec2.RootGiB, "ec2-root", 0, "`GiB` of the root volume (default the image's, or what the app asks for)")
	flags.StringVar(&f.ec2.VolumeType, "ec2-volume-type", "", "type of volumes (default gp3; with compat the other side's choice)")
	flags.StringVar(&f.ec2.Prices, "prices", "", "`FILE` with prices, in the place of popup's own table")
	flags.StringVar(&f.certs, "identity-certs", "", "`DIR` with certificates (*.pem) that vouch for machines, beside Amazon's")
}

// A place is what a cloud is opened with.
type place struct {
	cloudFlags
	at    consoleFolder
	store console.Store
	keys  *console.Keys
	host  string // where apps on this machine are reached
	sum   string // of the binary that machines get
	log   *slog.Logger
}

// An opened is a cloud that was opened, and what it needs of the console.
type opened struct {
	console.Cloud
	reach  console.Reach
	guests net.Listener // where its machines come to the console; nil: as browsers do
	close  func() error
}

// A guestCloud is one whose machines have a way of their own to the console.
type guestCloud interface {
	console.Cloud
	Listen() (net.Listener, error)
	ConsoleURL() string
	DownloadsURL() string
	Close() error
}

// openers open the clouds that there are.
var openers = map[string]func(context.Context, place) (opened, error){
	"local":     openLocal,
	"vm":        openVM,
	"container": openContainer,
	"ec2":       openEC2,
	"manual":    openManual,
}

func cloudNames() []string { return slices.Sorted(maps.Keys(openers)) }

// check says what is wrong with the flags, before anything is opened.
func (f cloudFlags) check() error {
	for _, name := range f.names {
		if openers[name] == nil {
			return fmt.Errorf("there is no cloud %q; --cloud is one of %s", name, strings.Join(cloudNames(), ", "))
		}
	}
	return nil
}

func openLocal(_ context.Context, p place) (opened, error) {
	c, err := local.Open(local.Options{Dir: p.at.instances(), Host: p.host, AllowUnconfined: p.unconfined, Log: p.log})
	if err != nil {
		return opened{}, err
	}
	return opened{Cloud: c, reach: console.Reach{SameMachine: true}, close: c.Close}, nil
}

func (p place) images() machine.ImageConfig {
	return machine.ImageConfig{Packages: p.packages, Cache: p.imageCache}
}

func openVM(_ context.Context, p place) (opened, error) {
	c, err := vm.Open(vm.Options{Dir: p.at.machines("vm"), Host: p.host, Image: p.images(), Log: p.log})
	if err != nil {
		return opened{}, err
	}
	return p.withGuests(c)
}

func openContainer(_ context.Context, p place) (opened, error) {
	c, err := container.Open(container.Options{Dir: p.at.machines("container"), Host: p.host, Image: p.images(), Log: p.log})
	if err != nil {
		return opened{}, err
	}
	return p.withGuests(c)
}

// withGuests has the machines of a cloud come to the console by their own way. They
// download popup before they know any certificate, by the sum of it.
func (p place) withGuests(c guestCloud) (opened, error) {
	guests, err := c.Listen()
	if err != nil {
		return opened{}, errors.Join(err, c.Close())
	}
	return opened{c, console.Reach{URL: c.ConsoleURL(), Binary: binaryAt(c.DownloadsURL(), p.sum)}, guests, c.Close}, nil
}

// markBytes is how much of what a console marks its machines with is random.
const markBytes = 8

func openEC2(ctx context.Context, p place) (opened, error) {
	opts := p.ec2
	opts.Profile, opts.Log = ec2.Profile(p.profile), p.log
	opts.Store, opts.File = p.store, filepath.Join(p.at.machines("ec2"), "regions.json")
	// It is the same for a console that was restored, with its key file.
	opts.Console = "popup-" + hex.EncodeToString(p.keys.Derive("mark of machines")[:markBytes])
	if opts.Profile == ec2.AWS || p.certs != "" {
		known, err := identity.Open(p.certs)
		if err != nil {
			return opened{}, usageError{fmt.Errorf("--identity-certs: %w", err)}
		}
		opts.Identify = func(proof wire.Identity) (string, error) {
			document, err := known.Verify(proof)
			return document.InstanceID, err
		}
	}
	c, err := ec2.Open(ctx, opts)
	switch {
	case errors.Is(err, console.ErrUnavailable), errors.Is(err, console.ErrUncertain):
		return opened{}, err
	case err != nil:
		return opened{}, usageError{err}
	}
	return opened{Cloud: c, reach: console.Reach{Anonymous: opts.Identify == nil}, close: nothing}, nil
}

func openManual(_ context.Context, p place) (opened, error) {
	return opened{Cloud: manual.New(p.store), close: nothing}, nil
}

// nothing is to be closed.
func nothing() error { return nil }

// A sky is all clouds that a console has.
type sky struct {
	clouds  map[string]console.Cloud
	reach   map[string]console.Reach
	guests  []*web.Listening
	closers []func() error
}

// open opens the clouds that were asked for.
func (f cloudFlags) open(ctx context.Context, p place) (_ *sky, err error) {
	p.cloudFlags = f
	s := &sky{clouds: map[string]console.Cloud{}, reach: map[string]console.Reach{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, name := range f.names {
		if s.clouds[name] != nil {
			continue
		}
		o, err := openers[name](ctx, p)
		if err != nil {
			return nil, fmt.Errorf("open the cloud %s: %w", name, err)
		}
		s.closers = append(s.closers, o.close)
		if o.guests != nil {
			guests, err := web.ListenGuests(o.guests, o.reach.URL, p.at.tls())
			if err != nil {
				return nil, errors.Join(err, o.guests.Close())
			}
			s.guests = append(s.guests, guests)
			s.closers = append(s.closers, guests.Close)
			o.reach.Pin = guests.Pin
		}
		s.clouds[name], s.reach[name] = o.Cloud, o.reach
	}
	return s, nil
}

// Close closes them, the last one first; what runs in them goes on.
func (s *sky) Close() (err error) {
	for _, closer := range slices.Backward(s.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// appsHost is the address of this machine that apps listen on: who reaches the console
// reaches them. A browser hands a host's cookies to all of its ports, so that beside a
// console of this machine alone they get a loopback address of their own, where the
// system has one. Elsewhere its cookies go by https only, and apps are http.
func (f cloudFlags) appsHost(console string) string {
	const apart = "127.0.0.2"
	if ip := net.ParseIP(console); f.host != "" || ip == nil || !ip.IsLoopback() {
		return cmp.Or(f.host, console)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(apart, "0"))
	if err != nil {
		return console
	}
	_ = listener.Close() // nobody connected
	return apart
}
