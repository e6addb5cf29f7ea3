package console

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
)

// KindArchive is of archives.
const KindArchive Kind = "archive"

// An Archive is a backup of an instance's state in the console's vault, read back and
// verified.
type Archive struct {
	Instance string    `json:"instance"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Files    int       `json:"files"`
	Final    bool      `json:"final,omitempty"` // taken at its end, after the last write
	Taken    time.Time `json:"taken"`           // as the instance says
	Verified time.Time `json:"verified"`
	// Vault is where it is kept, if that is not the console's: then the instance says that
	// it is there, and read back. Size and what follows it are not known.
	Vault string `json:"vault,omitempty"`
}

func (a Archive) record() Record {
	return Record{Kind: KindArchive, ID: archiveID(a.Instance, a.Name), Parent: a.Instance, Sort: a.Verified.UTC().Format(sortableTime)}
}

func archiveID(instance, name string) string { return instance + "." + name }

// archivesKept is how many archives of an instance are kept beside its final one.
const archivesKept = 7

// errNoVault is of a console that was given no place for archives.
var errNoVault = &ConflictError{"this console keeps no archives; its operator has to give it a vault"}

// errNameTaken is of another archive than the one of that name.
var errNameTaken = &ConflictError{"another backup has that name, and none is replaced; give yours another name"}

// A Backup is an archive that an instance sends.
type Backup struct {
	Name   string
	Size   int64     // bytes, as announced
	Digest string    // of wire.HeaderDigest
	Body   io.Reader // ends when the request does
}

// PutArchive keeps an archive of an instance's state, and answers once it was read back
// and verified. Its errors are Report's, and those of Archives.Receive.
func (c *Console) PutArchive(ctx context.Context, b Backup, s Signature) (wire.KeptArchive, error) {
	var w wrong
	w.check("name", archive.CheckName(b.Name))
	sum, err := wire.ParseDigest(b.Digest)
	w.check("digest", err)
	if err := w.err(); err != nil {
		return wire.KeptArchive{}, err
	}
	i, err := c.signed(ctx, s, wire.Signed{Method: "PUT", Path: wire.PathVault + b.Name, Digest: sum})
	if err != nil {
		return wire.KeptArchive{}, err
	}
	if c.opts.Archives == nil {
		return wire.KeptArchive{}, errNoVault
	}
	if err := c.isAnother(ctx, archiveID(i.ID, b.Name), hex.EncodeToString(sum)); err != nil {
		return wire.KeptArchive{}, err
	}
	kept, err := c.opts.Archives.Receive(ctx, Incoming{Instance: i.ID, Name: b.Name, Size: b.Size, SHA256: sum, Body: b.Body})
	if err != nil {
		return wire.KeptArchive{}, err
	}
	if kept, err = c.noteArchive(ctx, kept); err != nil {
		return wire.KeptArchive{}, fmt.Errorf("note the backup of %s: %w", i.ID, err)
	}
	if err := c.pruneArchives(ctx, i.ID); err != nil {
		c.log.Warn("remove old backups", "instance", i.ID, "err", err)
	}
	return keptArchive(kept), nil
}

// isAnother refuses an archive whose name another one has, wherever that is kept.
func (c *Console) isAnother(ctx context.Context, id, sum string) error {
	return c.store.View(ctx, func(tx Tx) error {
		known, err := get[Archive](tx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err == nil && known.SHA256 != sum:
			return errNameTaken
		}
		return err
	})
}

func keptArchive(a Archive) wire.KeptArchive {
	return wire.KeptArchive{Name: a.Name, Size: a.Size, SHA256: a.SHA256, Since: a.Verified}
}

// noteArchive writes down that an archive is in the vault, and of the final one also that
// its instance may go. One that came before stays as it was noted.
func (c *Console) noteArchive(ctx context.Context, a Archive) (noted Archive, err error) {
	a.Verified = c.now().UTC()
	err = c.store.Update(ctx, func(tx Tx) error {
		noted = a
		known, err := get[Archive](tx, a.record().ID)
		switch {
		case err == nil && known.SHA256 == a.SHA256:
			noted = known
		case err == nil:
			return errNameTaken // it came to another console at the same time
		case !errors.Is(err, ErrNotFound):
			return err
		}
		i, err := get[Instance](tx, a.Instance)
		if err != nil {
			return err
		}
		c.archived(&i, noted)
		err = errors.Join(put(tx, noted), put(tx, i))
		if noted == known || err != nil {
			return err
		}
		return c.audit(tx, Actor{ID: a.Instance}, "archive", "instance/"+a.Instance, fmt.Sprintf("%s, %d bytes, read back and verified", a.Name, a.Size))
	})
	if err == nil {
		c.fleet.refresh(ctx)
	}
	return noted, err
}

// pruneArchives removes the oldest archives of an instance beyond those that are kept.
func (c *Console) pruneArchives(ctx context.Context, instance string) error {
	var all []Archive
	err := c.store.View(ctx, func(tx Tx) (err error) { all, err = list[Archive](tx, Query{Parent: instance}); return err })
	if err != nil || len(all) <= archivesKept {
		return err
	}
	removed, err := c.opts.Archives.Prune(ctx, all, archivesKept)
	return errors.Join(err, c.forgetArchives(ctx, removed))
}

// forgetArchives removes what is noted of archives that are no longer in the vault.
func (c *Console) forgetArchives(ctx context.Context, removed []Archive) error {
	if len(removed) == 0 {
		return nil
	}
	return c.store.Update(ctx, func(tx Tx) (err error) {
		for _, a := range removed {
			err = errors.Join(err, tx.Delete(KindArchive, a.record().ID))
		}
		return err
	})
}

// removeArchives removes what the vault has of some instances.
func (c *Console) removeArchives(ctx context.Context, instances ...string) error {
	if c.opts.Archives == nil {
		return nil
	}
	if err := c.opts.Archives.Purge(ctx, instances...); err != nil {
		return fmt.Errorf("remove backups: %w", err)
	}
	for _, instance := range instances {
		var all []Archive
		err := c.store.View(ctx, func(tx Tx) (err error) { all, err = list[Archive](tx, Query{Parent: instance}); return err })
		if err = errors.Join(err, c.forgetArchives(ctx, all)); err != nil {
			return err
		}
	}
	return nil
}

// GetArchive opens an archive of the instance that asks, or the one it is to begin with. The caller closes it. Its errors
// are Report's, and ErrNotFound.
func (c *Console) GetArchive(ctx context.Context, name string, s Signature) (Archive, io.ReadCloser, error) {
	if archive.CheckName(name) != nil {
		return Archive{}, nil, ErrNotFound
	}
	i, err := c.signed(ctx, s, wire.Signed{Method: "GET", Path: wire.PathVault + name})
	if err != nil {
		return Archive{}, nil, err
	}
	var a Archive
	err = c.store.View(ctx, func(tx Tx) (err error) { a, err = archiveFor(tx, i, name); return err })
	if err != nil {
		return Archive{}, nil, err
	}
	file, err := c.openKept(ctx, a)
	return a, file, err
}

// ListArchives lists the archives of the instance that asks, by name. Its errors are Report's.
func (c *Console) ListArchives(ctx context.Context, s Signature) (wire.VaultList, error) {
	i, err := c.signed(ctx, s, wire.Signed{Method: "GET", Path: wire.PathVault})
	if err != nil {
		return wire.VaultList{}, err
	}
	var listed wire.VaultList
	err = c.store.View(ctx, func(tx Tx) error {
		listed = wire.VaultList{Version: wire.VaultVersion, Archives: []wire.KeptArchive{}}
		all, err := list[Archive](tx, Query{Parent: i.ID})
		for _, a := range all {
			listed.Archives = append(listed.Archives, keptArchive(a))
		}
		return err
	})
	slices.SortFunc(listed.Archives, func(a, b wire.KeptArchive) int { return strings.Compare(a.Name, b.Name) })
	return listed, err
}

// Archives are the verified backups of an event's instances, for who may fetch them: by
// instance, and the oldest first.
func (c *Console) Archives(ctx context.Context, a Actor, event string) (all []Archive, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, Fetch, event)
		if err != nil {
			return err
		}
		all, err = archivesOf(tx, e.ID)
		return err
	})
	return all, err
}

// archivesOf looks at the instances alone whose app keeps something: they are few, and an
// event may have thousands of others.
func archivesOf(tx Tx, event string) (all []Archive, err error) {
	deployments, err := list[Deployment](tx, Query{Parent: event})
	if err != nil {
		return nil, err
	}
	for _, d := range deployments {
		if !d.HasState() {
			continue
		}
		instances, err := list[Instance](tx, Query{Parent: d.ID})
		if err != nil {
			return nil, err
		}
		for _, i := range instances {
			some, err := list[Archive](tx, Query{Parent: i.ID})
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	return all, nil
}

// OpenArchive opens an archive of an instance for who may fetch it. The caller closes it.
// Reading it ends with an error where it is no longer what was verified.
func (c *Console) OpenArchive(ctx context.Context, a Actor, instance, name string) (kept Archive, file io.ReadCloser, err error) {
	err = c.store.Update(ctx, func(tx Tx) error {
		i, _, err := c.instanceFor(tx, a, Fetch, instance)
		if err != nil {
			return err
		}
		if kept, err = get[Archive](tx, archiveID(i.ID, name)); err != nil {
			return err
		}
		return c.audit(tx, a, "fetch archive", "instance/"+i.ID, kept.Name)
	})
	if err != nil {
		return Archive{}, nil, err
	}
	file, err = c.openKept(ctx, kept)
	return kept, file, err
}

// An EventArchive is all that is kept of an event, as one file.
type EventArchive struct {
	Name     string // of the file: EVENT.zip
	Archives []Archive
	c        *Console
}

// OpenEventArchive offers an event's archives as one file, for who may fetch them;
// ErrNotFound where there are none.
func (c *Console) OpenEventArchive(ctx context.Context, a Actor, event string) (EventArchive, error) {
	offer := EventArchive{c: c}
	err := c.store.Update(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, Fetch, event)
		if err != nil {
			return err
		}
		offer.Name = e.Name + ".zip"
		if offer.Archives, err = archivesOf(tx, e.ID); err != nil {
			return err
		}
		if len(offer.Archives) == 0 {
			return ErrNotFound
		}
		return c.audit(tx, a, "fetch archives", "event/"+e.ID, fmt.Sprintf("%d archives", len(offer.Archives)))
	})
	return offer, err
}

// Write writes the file: a zip of the archives as they are, which are compressed
// already. Where it returns an error what was written is no zip.
func (o EventArchive) Write(ctx context.Context, to io.Writer) error {
	z := zip.NewWriter(to)
	for _, a := range o.Archives {
		if err := o.add(ctx, z, a); err != nil {
			return fmt.Errorf("write %s: %w", o.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write %s: %w", o.Name, err)
	}
	return nil
}

func (o EventArchive) add(ctx context.Context, z *zip.Writer, a Archive) error {
	file, err := o.c.openKept(ctx, a)
	if err != nil {
		return err
	}
	entry, err := z.CreateHeader(&zip.FileHeader{Name: a.Instance + "/" + a.Name, Method: zip.Store, Modified: a.Taken})
	if err == nil {
		_, err = io.Copy(entry, archive.Within(ctx, file))
	}
	return errors.Join(err, file.Close())
}

// openKept opens an archive, to be held against what was verified.
func (c *Console) openKept(ctx context.Context, a Archive) (io.ReadCloser, error) {
	if c.opts.Archives == nil {
		return nil, errNoVault
	}
	file, member, err := c.opts.Archives.open(ctx, a.Instance, a.Name)
	if err != nil {
		return nil, err
	}
	return &verified{file, sha256.New(), a, func() { c.opts.Archives.suspect(ctx, a, member) }}, nil
}

// verified is an archive that is read once more, and summed.
type verified struct {
	io.ReadCloser
	sum     hash.Hash
	is      Archive
	suspect func() // what was read is something else, or could not be read
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n]) // it never fails
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		v.suspect()
	case hex.EncodeToString(v.sum.Sum(nil)) != v.is.SHA256:
		v.suspect()
		return n, fmt.Errorf("read backup %s of %s: it is no longer what was verified; the vault's disk may be damaged", v.is.Name, v.is.Instance)
	}
	return n, err
}
