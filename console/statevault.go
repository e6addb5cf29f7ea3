package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
)

// A StateVault is where instances keep backups of their state, if not with the console.
type StateVault struct {
	// Bucket is what each deployment's plan says, which adds its own folder to Vault:
	// s3://bucket/prefix/. No Vault: the console keeps them. Recipient is set by the console.
	Bucket wire.State
	// Identity opens all backups, as age writes it. Empty: the console makes a key for each
	// deployment, and keeps it sealed.
	Identity string
}

// Check says what is wrong with it, in sentences for whoever wrote it.
func (v StateVault) Check() error {
	if v.Bucket.Vault == "" {
		if v.Identity != "" || v.Bucket != (wire.State{}) {
			return errors.New("a key, an endpoint, a region and credentials of backups are for a bucket; name one like s3://bucket/folder/")
		}
		return nil
	}
	if !strings.HasPrefix(v.Bucket.Vault, wire.VaultBucket) || !strings.HasSuffix(v.Bucket.Vault, "/") {
		return fmt.Errorf("%q is not where instances can keep backups; write s3://bucket/folder/", v.Bucket.Vault)
	}
	if v.Identity == "" {
		return nil
	}
	_, err := archive.RecipientOf(v.Identity)
	return err
}

// stateKeyOf names what is sealed with a deployment, for Keys.
func stateKeyOf(deployment string) string { return "key to the backups of deployment " + deployment }

// keepState says in a deployment's plan where backups of its state are kept.
func (c *Console) keepState(d *Deployment) error {
	v := c.opts.State
	if v.Bucket.Vault == "" {
		d.Plan.State.Vault = wire.VaultConsole
		return nil
	}
	d.Plan.State = v.Bucket
	d.Plan.State.Vault += d.ID + "/"
	var err error
	if v.Identity != "" {
		d.Plan.State.Recipient, err = archive.RecipientOf(v.Identity)
		return err
	}
	identity, recipient, err := archive.NewIdentity()
	if err != nil {
		return err
	}
	d.Plan.State.Recipient, d.StateKey = recipient, c.opts.Keys.Seal([]byte(identity), stateKeyOf(d.ID))
	return nil
}

// stateKey opens the backups of a deployment.
func (c *Console) stateKey(ctx context.Context, deployment string) (identity string, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		d, err := get[Deployment](tx, deployment)
		if err != nil || len(d.StateKey) == 0 {
			identity = c.opts.State.Identity
			return err
		}
		text, err := c.opts.Keys.Open(d.StateKey, stateKeyOf(d.ID))
		identity = string(text)
		return err
	})
	return identity, err
}

// keptElsewhere takes an instance's word that the archive with which it is over is in the
// vault that its plan names. The console has no key to that bucket, and the instance
// read it back.
func (c *Console) keptElsewhere(tx Tx, i *Instance, name string) error {
	d, err := get[Deployment](tx, i.Deployment)
	if err != nil || !strings.HasPrefix(d.Plan.State.Vault, wire.VaultBucket) || archive.CheckName(name) != nil {
		return err
	}
	now := c.now()
	c.archived(i, Archive{Instance: i.ID, Name: name, Final: true, Taken: now, Verified: now.UTC().Truncate(time.Millisecond), Vault: d.Plan.State.Vault})
	return nil
}
