package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"popup/apps"
)

// The tags of an image.
const (
	tagImageOf       = "popup:of"         // a hash of all that decides what is on it
	tagImageApp      = "popup:app"        // the id of the app
	tagImageFrom     = "popup:repository" // of its manifest; nothing: the catalogue's
	tagImageVersion  = "popup:version"
	tagImageRelease  = "popup:service" // a commit
	tagImageRevision = "popup:data"    // the same of the data
)

// defaultKeepImages is how long an image is kept.
const defaultKeepImages = 30 * 24 * time.Hour

// imagesTimeout bounds one Baker.Images, and forgetTimeout one Baker.Forget.
const (
	imagesTimeout = 30 * time.Second
	forgetTimeout = 5 * time.Minute
)

// imageOf is the same of all deployments that have the same on their disks before they
// serve: another source, build or package, and it is another one.
func imageOf(d Deployment) string {
	m := d.Plan.Manifest
	if !takesSettings(m) {
		m.Env = nil
	}
	m.Lifetime = apps.Lifetime{}
	text, _ := json.Marshal([]any{d.App, d.Repository, m, d.Plan.ManifestFrom, d.Plan.Service, d.Plan.Data}) // of what was read from JSON and YAML
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// imageTags are of the image of a deployment, as far as they are known before there is one.
func (c *Console) imageTags(d Deployment) map[string]string {
	tags := map[string]string{tagImageOf: imageOf(d), tagImageApp: string(d.App), tagImageFrom: cut(d.Repository, mostTag), tagImageVersion: c.opts.Version}
	maps.DeleteFunc(tags, func(_, value string) bool { return value == "" })
	return tags
}

// A StartsFrom is the image that machines start from.
type StartsFrom struct {
	ID       string    `json:"id"`
	Baked    time.Time `json:"baked"`
	Release  string    `json:"release,omitempty"`  // commits that are on it
	Revision string    `json:"revision,omitempty"` //
}

// imageFor is the newest image that has what d needs on it; nil: there is none.
func imageFor(images []Image, d Deployment, version string, oldest time.Time) *StartsFrom {
	if given := len(d.Settings) + len(d.SecretNames); given > 0 && takesSettings(d.Plan.Manifest) {
		return nil // what is built with them is another
	}
	var newest *StartsFrom
	for _, i := range images {
		if !i.Ready || i.Tags[tagImageOf] != imageOf(d) || i.Tags[tagImageVersion] != version || i.Baked.Before(oldest) {
			continue
		}
		if newest == nil || i.Baked.After(newest.Baked) {
			newest = &StartsFrom{i.ID, i.Baked, i.Tags[tagImageRelease], i.Tags[tagImageRevision]}
		}
	}
	return newest
}

// startFromImages has deployments start from images, where their cloud has some for them.
func (c *Console) startFromImages(ctx context.Context, p *prepared) {
	baker, bakes := c.opts.Clouds[p.cloud].(Baker)
	if !bakes || p.bakes {
		return
	}
	within, cancel := context.WithTimeout(ctx, imagesTimeout)
	images, err := baker.Images(within)
	cancel()
	if err != nil {
		c.log.Warn("look for images", "cloud", p.cloud, "err", err)
		return
	}
	for n := range p.deployments {
		d := &p.deployments[n]
		d.Image = imageFor(images, *d, c.opts.Version, c.now().Add(-c.opts.KeepImages))
		if d.Image == nil || c.check(ctx, *p, *d) != nil { // without one there may be such a machine
			d.Image = nil
			continue
		}
		says := fmt.Sprintf("starts from an image of %s, and fetches what is newer", p.event.spoken(d.Image.Baked))
		if by := c.fleet.bootTimes(p.cloud, string(d.App)).Sooner(); by > 0 {
			says += fmt.Sprintf("; that was up %s sooner so far", by)
		}
		p.notes = append(p.notes, d.Title+": "+says)
	}
}

// check asks the cloud whether a machine of d can be had.
func (c *Console) check(ctx context.Context, p prepared, d Deployment) (err error) {
	first := c.plannedInstance(p.event, d, 1)
	ask := c.launchOf(p.event, d, first)
	if ask.UserData, err = c.userData(p.event, d, first, ""); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.opts.Clouds[p.cloud].Check(within, ask)
}

// Bakers are the clouds that make images, by name.
func (c *Console) Bakers() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(c.opts.Clouds)) {
		if _, bakes := c.opts.Clouds[name].(Baker); bakes {
			names = append(names, name)
		}
	}
	return names
}

// A KeptImage is an image that launches of an app may start from.
type KeptImage struct {
	Image
	Cloud   string
	App     string
	Expires time.Time // when it goes, if nothing takes its place before
	Times   BootTimes // of the app in that cloud
}

// Version is of the popup on it; Release and Revision are the commits. Empty: it is of
// somebody else, or not complete.
func (i KeptImage) Version() string  { return i.Tags[tagImageVersion] }
func (i KeptImage) Release() string  { return i.Tags[tagImageRelease] }
func (i KeptImage) Revision() string { return i.Tags[tagImageRevision] }

// Images are all that were baked, of all clouds, the newest first. Its error names the
// clouds that could not be asked; the others' images come with it.
func (c *Console) Images(ctx context.Context, a Actor) (all []KeptImage, err error) {
	if err := authorise(a, See, target{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, imagesTimeout)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(c.opts.Clouds)) {
		baker, bakes := c.opts.Clouds[name].(Baker)
		if !bakes {
			continue
		}
		images, bad := baker.Images(ctx)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("list the images of %s: %w", name, bad))
		}
		for _, i := range images {
			app := i.Tags[tagImageApp]
			all = append(all, KeptImage{Image: i, Cloud: name, App: app, Expires: i.Baked.Add(c.opts.KeepImages), Times: c.fleet.bootTimes(name, app)})
		}
	}
	slices.SortFunc(all, func(x, y KeptImage) int { return cmp.Or(y.Baked.Compare(x.Baked), cmp.Compare(x.ID, y.ID)) })
	return all, err
}

// ForgetImage removes an image, and returns once that is proven gone. ErrNotFound: there
// is none of that id; *ConflictError: a launch is under way from it.
func (c *Console) ForgetImage(ctx context.Context, a Actor, id string) error {
	if err := authorise(a, Admin, target{}); err != nil {
		return err
	}
	all, err := c.Images(ctx, a)
	n := slices.IndexFunc(all, func(i KeptImage) bool { return i.ID == id })
	if n < 0 {
		return errors.Join(err, ErrNotFound)
	}
	used, err := c.usedImages(ctx)
	if err != nil {
		return err
	}
	if used[id] {
		return &ConflictError{fmt.Sprintf("a launch from %s is under way; wait until it is up", id)}
	}
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	if err := c.opts.Clouds[all[n].Cloud].(Baker).Forget(ctx, id); err != nil {
		return fmt.Errorf("forget the image %s: %w", id, err)
	}
	return c.store.Update(ctx, func(tx Tx) error { return c.audit(tx, a, "forget", "image/"+id, "removed an image of "+all[n].App) })
}

// usedImages are those that a launch under way starts from.
func (c *Console) usedImages(ctx context.Context) (map[string]bool, error) {
	var used map[string]bool
	err := c.store.View(ctx, func(tx Tx) error {
		used = map[string]bool{}
		var waiting []Instance
		for _, state := range []InstanceState{InstancePlanned, InstanceLaunching} {
			err := each(tx, Query{State: string(state)}, func(i Instance) {
				if !i.Due.IsZero() && !i.Plain { // else its event has not begun
					waiting = append(waiting, i)
				}
			})
			if err != nil {
				return err
			}
		}
		for _, i := range waiting {
			d, err := get[Deployment](tx, i.Deployment)
			if err != nil {
				return err
			}
			if d.Image != nil {
				used[d.Image.ID] = true
			}
		}
		return nil
	})
	return used, err
}

// halfBaked is how long an image may take to be complete.
const halfBaked = 24 * time.Hour

// expired are the images that go: those whose place another took, those that are too old,
// and those of which nothing became. What is used stays.
func expired(images []Image, used map[string]bool, keep time.Duration, now time.Time) (ids []string) {
	for _, i := range images {
		replaced := slices.ContainsFunc(images, func(by Image) bool {
			return by.Ready && by.Baked.After(i.Baked) && by.Tags[tagImageApp] == i.Tags[tagImageApp] && by.Tags[tagImageFrom] == i.Tags[tagImageFrom]
		})
		age := now.Sub(i.Baked)
		if !used[i.ID] && (i.Ready && replaced || age > keep || !i.Ready && age > halfBaked) {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// expireEvery is how often images are looked through.
const expireEvery = time.Hour

// pollImages has the images of each cloud looked through, where it is time for that.
func (r *reconciler) pollImages(ctx context.Context) {
	for name, cloud := range r.c.opts.Clouds {
		_, bakes := cloud.(Baker)
		what := pollOfImages + "/" + name
		r.mu.Lock()
		wait := r.busy[what] || r.after[what].After(r.c.now()) || r.c.now().Sub(r.looked[name]) < expireEvery
		r.mu.Unlock()
		if bakes && !wait {
			r.start(ctx, r.polls, what, func(ctx context.Context) error { return r.expire(ctx, name) })
		}
	}
}

// expireSoon has the images of a cloud looked through: there is a new one.
func (r *reconciler) expireSoon(cloud string) {
	r.mu.Lock()
	delete(r.looked, cloud)
	r.mu.Unlock()
}

func (r *reconciler) expire(ctx context.Context, name string) error {
	r.mu.Lock()
	r.looked[name] = r.c.now()
	r.mu.Unlock()
	cloud, err := r.cloud(ctx, name)
	if err != nil {
		return err
	}
	baker := cloud.(Baker) // it was one
	within, cancel := context.WithTimeout(ctx, imagesTimeout)
	images, err := baker.Images(within)
	cancel()
	if err != nil {
		return fmt.Errorf("list the images of %s: %w", name, err)
	}
	used, err := r.c.usedImages(ctx)
	if err != nil || r.c.clock.doubt() != "" { // their age is by a clock that jumped
		return err
	}
	for _, id := range expired(images, used, r.c.opts.KeepImages, r.c.now()) {
		if _, err := r.cloud(ctx, name); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, forgetTimeout)
		bad := baker.Forget(within, id)
		cancel()
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("forget the image %s of %s: %w", id, name, bad))
			continue
		}
		r.c.log.Info("image expired", "image", id, "cloud", name)
	}
	return err
}

// BootTimes are how long instances of an app took from their launch until they were live.
type BootTimes struct {
	Baked, Plain           time.Duration // the median of those from an image, and of the others; 0: there are none
	BakedCount, PlainCount int
}

// Sooner is how much sooner those from an image were live; 0: that is not known, or none.
func (t BootTimes) Sooner() time.Duration {
	if t.BakedCount == 0 || t.PlainCount == 0 {
		return 0
	}
	return max(t.Plain-t.Baked, 0)
}

// bootTimes are of the instances of an app in a cloud.
func (f *fleet) bootTimes(cloud, app string) BootTimes {
	var baked, plain []time.Duration
	f.mu.RLock()
	for _, m := range f.members {
		d, took := f.deployments[m.Deployment], m.LiveSince.Sub(m.Launched)
		switch {
		case m.Cloud != cloud || d.app != app || m.LiveSince.IsZero() || m.Launched.IsZero() || took < 0:
		case d.image && !m.Plain:
			baked = append(baked, took)
		default:
			plain = append(plain, took)
		}
	}
	f.mu.RUnlock()
	return BootTimes{Baked: median(baked), Plain: median(plain), BakedCount: len(baked), PlainCount: len(plain)}
}

// median is in whole seconds: what is told by reports is no more exact.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Second)
}
