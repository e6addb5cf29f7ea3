package ec2

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"popup/console"
)

// kindRegion is of regions in which there may be something of this console's.
const kindRegion console.Kind = "ec2-region"

// A used is such a region in its record.
type used struct {
	Region   string `json:"region"`
	Endpoint string `json:"endpoint,omitempty"` // of Options
	Account  string `json:"account,omitempty"`  // whose machines were seen there; empty: none was
}

func (u used) put(tx console.Tx) error {
	doc, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return tx.Put(console.Record{Kind: kindRegion, ID: u.Region, Doc: doc})
}

// all are the regions in which there may be something of this console's: those that it is
// told of, and whatever other consoles of its store were told of, and those before it. Its
// own are written down here, since whoever makes something looks first what there is.
func (c *Cloud) all(ctx context.Context) ([]*region, error) {
	if c.opts.Store == nil {
		return c.regions, nil
	}
	var known []used
	err := c.opts.Store.View(ctx, func(tx console.Tx) (err error) {
		known, err = c.used(tx)
		return err
	})
	for _, r := range c.regions {
		if err == nil && !knows(known, r.name) {
			known, err = c.use(ctx, nil)
		}
	}
	if err == nil {
		err = c.sameAccount(ctx, known)
	}
	if err != nil {
		return nil, fmt.Errorf("read which regions were used: %w", err)
	}
	all := slices.Clone(c.regions)
	for _, u := range known {
		if !slices.ContainsFunc(all, func(r *region) bool { return r.name == u.Region }) {
			all = append(all, c.pastRegion(u.Region))
		}
	}
	return all, nil
}

func knows(known []used, name string) bool {
	return slices.ContainsFunc(known, func(u used) bool { return u.Region == name })
}

// used are the regions that the store knows. One at another endpoint would be
// asked in vain: that is an error.
func (c *Cloud) used(tx console.Tx) (known []used, err error) {
	records, err := tx.List(console.Query{Kind: kindRegion})
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		var u used
		if err := json.Unmarshal(r.Doc, &u); err != nil || u.Region != r.ID || !regionForm.MatchString(u.Region) {
			return nil, fmt.Errorf("what the store keeps of region %.40q is not what was written there; restore a backup", r.ID)
		}
		if err := c.sameEndpoint(u); err != nil {
			return nil, err
		}
		known = append(known, u)
	}
	return known, nil
}

func (c *Cloud) sameEndpoint(u used) error {
	if u.Endpoint == c.opts.Endpoint {
		return nil
	}
	return fmt.Errorf("machines were launched in %s at %s before, and would not be found at %s; start the console with that --ec2-endpoint, or once with --ec2-forget-region %s when nothing is left there",
		u.Region, cmp.Or(u.Endpoint, "Amazon's"), cmp.Or(c.opts.Endpoint, "Amazon's"), u.Region)
}

// use writes down the regions that this console is told of, and more, having removed others.
func (c *Cloud) use(ctx context.Context, forget []string, more ...string) (known []used, err error) {
	for _, r := range c.regions {
		more = append(more, r.name)
	}
	err = c.opts.Store.Update(ctx, func(tx console.Tx) (err error) {
		for _, name := range forget {
			if err := tx.Delete(kindRegion, name); err != nil {
				return err
			}
		}
		if known, err = c.used(tx); err != nil {
			return err
		}
		for _, name := range more {
			if knows(known, name) {
				continue
			}
			u := used{Region: name, Endpoint: c.opts.Endpoint}
			if err := u.put(tx); err != nil {
				return err
			}
			known = append(known, u)
		}
		return nil
	})
	return known, err
}

// pastRegion is one in which nothing more is launched.
func (c *Cloud) pastRegion(name string) *region {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.past[name] == nil {
		c.past[name] = c.newRegion(name)
		c.opts.Log.Warn("machines may be in a region that this console is not told of; it is asked for them as well, until a console is started with --ec2-forget-region", "region", name)
	}
	return c.past[name]
}

// enter forgets the regions in which nothing is left, and takes over those that a console
// kept in its folder, where no other one saw them.
func (c *Cloud) enter(ctx context.Context) error {
	if c.opts.Store == nil {
		return nil
	}
	names, err := c.inFile()
	if err != nil {
		return fmt.Errorf("read which regions were used, in %s: %w", c.opts.File, err)
	}
	if _, err := c.use(ctx, c.opts.Forget, names...); err != nil {
		return fmt.Errorf("write down which regions are used: %w", err)
	}
	if err := os.Remove(c.opts.File); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what the store keeps now: %w", err)
	}
	return nil
}

// inFile are the regions in a console's file; without one there are none.
func (c *Cloud) inFile() ([]string, error) {
	var kept struct {
		Endpoint string   `json:"endpoint"`
		Regions  []string `json:"regions"`
	}
	text, err := os.ReadFile(c.opts.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	for _, name := range kept.Regions {
		if err == nil && !regionForm.MatchString(name) {
			err = fmt.Errorf("%.40q is no region", name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w; correct it, so that no machine is forgotten", err)
	}
	names := slices.DeleteFunc(kept.Regions, func(name string) bool { return slices.Contains(c.opts.Forget, name) })
	for _, name := range names {
		if err := c.sameEndpoint(used{Region: name, Endpoint: kept.Endpoint}); err != nil {
			return nil, err
		}
	}
	return names, nil
}
