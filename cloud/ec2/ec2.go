// Package ec2 is a cloud of EC2's, and of what speaks its API: each machine an instance
// that was launched with the user-data any other cloud would be given.
//
// Nothing of it is kept here but which regions were used, and by which account. What was
// launched is found by what EC2 describes: by the client token, which is made of the
// console, the instance and the attempt, and by tags. So whatever is cut off, by a kill or
// on the network, is asked again and found:
//
//	client token      popupCONSOLE.ATTEMPT.INSTANCE   one RunInstances, one machine, whoever asks how often
//	popup:console     what is this console's; nothing else is touched
//	popup:event       what goes when the event is over: machines, volumes, snapshots, addresses, security groups
//	popup:instance    the console's name for a machine
//
// EC2 is asked by the methods of an ec2API alone, without the SDK's waiters and paginators:
// a *ec2.Client that is met in any other way brings all of EC2 into the binary.
package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"popup/console"
)

// The tags of what is made here.
const (
	tagConsole    = "popup:console"
	tagEvent      = "popup:event"
	tagEventName  = "popup:event-name"
	tagDeployment = "popup:deployment"
	tagInstance   = "popup:instance"
	tagApp        = "popup:app"
)

// A Cloud keeps instances on EC2. It implements console.Cloud, Holder and Protector.
type Cloud struct {
	opts    Options
	cfg     aws.Config
	regions []*region // that it is told of, where machines are launched
	opened  time.Time
	busy    keyed // what is launched or made right now, by name

	mu     sync.Mutex
	past   map[string]*region // that were used once, by name
	whose  kept[string]       // the account that the credentials are of; empty: it cannot be told
	recent map[string]asked   // by instance
}

// An asked is a machine that this process asked for.
type asked struct {
	at      time.Time
	machine console.Machine // as it was answered; without an id: it was not
}

// vouching is a Cloud that can tell who a machine is. It implements console.Identifier.
type vouching struct{ *Cloud }

// A region is where machines can be.
type region struct {
	name   string
	compat bool
	ec2    ec2API
	ssm    ssmAPI // of public images; with Compat it is not asked
	keys   aws.CredentialsProvider

	mu      sync.Mutex
	subnets kept[[]types.Subnet]
	images  map[string]kept[image]
}

// A kept value is asked for again after a while.
type kept[T any] struct {
	value T
	at    time.Time
}

// keepFor is how long it is believed what images and subnets there are.
const keepFor = 5 * time.Minute

func (k kept[T]) fresh() bool { return !k.at.IsZero() && time.Since(k.at) < keepFor }

// Open reads the credentials' configuration, and asks EC2 nothing: that is Check's.
// What it returns is a console.Holder and a console.Protector besides, and where
// Options.Identify is given, a console.Identifier.
func Open(ctx context.Context, opts Options) (console.Cloud, error) {
	c, err := open(ctx, opts)
	if err != nil {
		return nil, err
	}
	if opts.Identify != nil {
		return vouching{c}, nil
	}
	return c, nil
}

func open(ctx context.Context, opts Options) (*Cloud, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts.complete()
	var client config.HTTPClient = awshttp.NewBuildableClient().WithTimeout(answerTimeout)
	if opts.HTTP != nil {
		client = opts.HTTP
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("read the configuration of AWS: %w; mend it, or name another one with AWS_PROFILE", err)
	}
	if len(opts.Regions) == 0 && cfg.Region != "" {
		opts.Regions = []string{cfg.Region}
	}
	if len(opts.Regions) == 0 {
		return nil, errors.New("which region? Give --ec2-region, like eu-central-1, or set AWS_REGION")
	}
	c := &Cloud{opts: opts, cfg: cfg, opened: time.Now(), busy: keyed{held: map[string]chan struct{}{}}, past: map[string]*region{}, recent: map[string]asked{}}
	for n, name := range opts.Regions {
		if slices.Contains(opts.Regions[:n], name) {
			continue
		}
		c.regions = append(c.regions, c.newRegion(name))
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cloud) newRegion(name string) *region {
	retryer := retry.NewStandard(patient(c.opts.Pause))
	endpoint := func(base **string) {
		if c.opts.Endpoint != "" {
			*base = aws.String(c.opts.Endpoint)
		}
	}
	r := &region{name: name, compat: c.opts.Profile == Compat, keys: c.cfg.Credentials, images: map[string]kept[image]{}}
	r.ec2 = newEC2(ec2.NewFromConfig(c.cfg, func(o *ec2.Options) {
		o.Region, o.Retryer = name, retryer
		o.IdempotencyTokenProvider = nil // where a token counts it is ours, and elsewhere some refuse it
		endpoint(&o.BaseEndpoint)
	}))
	r.ssm.GetParameter = ssm.NewFromConfig(c.cfg, func(o *ssm.Options) {
		o.Region, o.Retryer = name, retryer
		endpoint(&o.BaseEndpoint)
	}).GetParameter
	return r
}

// region is the one of that name; the error says what to try.
func (c *Cloud) region(ctx context.Context, name string) (*region, error) {
	all, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.name == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("this console is not told of region %q any more; start it with --ec2-region %s as well", name, name)
}

// everywhere asks all regions in which there may be something, as across does.
func everywhere[T any](ctx context.Context, c *Cloud, ask func(*region) ([]T, error)) ([]T, error) {
	all, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	return across(all, ask)
}

// across asks regions at once, and returns what they have in their order. It is all or
// nothing: what a region that does not answer has is not known.
func across[T any](regions []*region, ask func(*region) ([]T, error)) ([]T, error) {
	found, errs := make([][]T, len(regions)), make([]error, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { found[i], errs[i] = ask(r) })
	}
	wg.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

// keyed locks names.
type keyed struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free
}

// lock waits until the name is free, or ctx ends.
func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		other, busy := k.held[name]
		if !busy {
			mine := make(chan struct{})
			k.held[name] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				defer k.mu.Unlock()
				delete(k.held, name)
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// mark is what of a console's name is in the names of what it makes.
func (c *Cloud) mark() string { return hash(c.opts.Console)[:12] }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// What a tag may hold, in characters.
const (
	mostTagKey   = 127
	mostTagValue = 255
	mostTags     = 40 // EC2 takes 50, its own among them
)

// tagsOf are the tags of what is made for l, in order. Ours come first: what else l
// brings is shown to people, and has no meaning.
func (c *Cloud) tagsOf(l console.Launch) []types.Tag {
	all := map[string]string{tagConsole: c.opts.Console, tagEvent: l.EventID, tagEventName: l.Event, tagDeployment: l.Deployment, tagApp: l.App}
	if l.Instance != "" {
		all["Name"], all[tagInstance] = l.Instance, l.Instance
	}
	for _, key := range slices.Sorted(maps.Keys(l.Tags)) {
		if _, ours := all[key]; !ours && key != "" && len(key) <= mostTagKey && len(all) < mostTags {
			all[key] = l.Tags[key]
		}
	}
	var tags []types.Tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		value := []rune(all[key])
		if len(value) == 0 {
			continue
		}
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(string(value[:min(len(value), mostTagValue)]))})
	}
	return tags
}

// tagged is the value of a tag; empty: there is none.
func tagged(tags []types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// filter asks for what has one of the values.
func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}
