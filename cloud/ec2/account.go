package ec2

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// account is whose credentials these are; empty: it cannot be told. A network's default
// group is of the account that asks, and who may launch machines may describe it.
func (c *Cloud) account(ctx context.Context) (string, error) {
	c.mu.Lock()
	old := c.whose
	c.mu.Unlock()
	if old.fresh() {
		return old.value, nil
	}
	r := c.regions[0]
	out, err := call(ctx, r, r.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-name", "default")}})
	if err != nil {
		return "", err
	}
	account := ""
	for n, g := range out.SecurityGroups {
		if id := aws.ToString(g.OwnerId); n == 0 || id == account {
			account = id
		} else {
			return "", nil
		}
	}
	c.mu.Lock()
	c.whose = kept[string]{account, time.Now()}
	c.mu.Unlock()
	return account, nil
}

// sameAccount is an error where machines are another account's: they would be asked for
// in vain.
func (c *Cloud) sameAccount(ctx context.Context, all []used) error {
	i := slices.IndexFunc(all, func(u used) bool { return u.Account != "" })
	if i < 0 {
		return nil
	}
	account, err := c.account(ctx)
	if err != nil || account == "" {
		return err
	}
	for _, u := range all[i:] {
		if u.Account != "" && u.Account != account {
			return fmt.Errorf("the machines in %s are of the account %s, and the console's credentials are of %s; give it those of that account, as with AWS_PROFILE, or start it once with --ec2-forget-region %s when nothing is left there",
				u.Region, u.Account, account, u.Region)
		}
	}
	return nil
}

// own writes down whose the machines are that were seen, where that is certain.
func (c *Cloud) own(ctx context.Context, seen []sighting) error {
	if c.opts.Store == nil {
		return nil
	}
	var unowned []used
	find := func(tx console.Tx) error {
		all, err := c.used(tx)
		unowned = slices.DeleteFunc(all, func(u used) bool {
			return u.Account != "" || !slices.ContainsFunc(seen, func(s sighting) bool { return s.region.name == u.Region && s.owner != "" })
		})
		return err
	}
	if err := c.opts.Store.View(ctx, find); err != nil || len(unowned) == 0 {
		return err
	}
	account, err := c.account(ctx)
	if err != nil || account == "" {
		return err
	}
	return c.opts.Store.Update(ctx, func(tx console.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		for _, u := range unowned {
			if slices.ContainsFunc(seen, func(s sighting) bool { return s.region.name == u.Region && s.owner != account }) {
				continue
			}
			u.Account = account
			if err := u.put(tx); err != nil {
				return err
			}
		}
		return nil
	})
}
