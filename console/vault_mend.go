package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"popup/internal/archive"
)

const (
	// mendEvery is how often what this console alone has is copied, and whether there are
	// others; lookEvery, how often all that it has is looked through.
	mendEvery = 30 * time.Second
	lookEvery = 10 * time.Minute
	// awayFor is how long a console may be away before what it had is copied again.
	awayFor = 10 * time.Minute
)

// A mender looks after the copies of this console's archives. It is used by one goroutine.
type mender struct {
	c      *Console
	others []string
	looked time.Time
	away   map[string]time.Time // since when who did not answer
}

func newMender(c *Console) *mender { return &mender{c: c, away: map[string]time.Time{}} }

// mendCopies keeps each archive on two consoles, until ctx ends. Each console looks after
// its own files: the only one that has something copies it, so none has to be asked.
func (c *Console) mendCopies(ctx context.Context) error {
	if c.opts.Archives == nil || c.opts.Archives.opts.Peers == nil {
		return nil
	}
	m := newMender(c)
	next := time.NewTicker(mendEvery)
	defer next.Stop()
	for {
		if err := m.turn(ctx, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Warn("look after the copies of backups", "err", err)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// turn looks through all where it is time to.
func (m *mender) turn(ctx context.Context, now time.Time) error {
	a := m.c.opts.Archives
	a.tellRemoved(ctx)
	others, err := a.opts.Peers.Others(ctx)
	if err != nil {
		return err
	}
	if slices.Equal(others, m.others) && a.troubled() == 0 && now.Sub(m.looked) < lookEvery {
		return nil
	}
	m.others = others
	if err := m.look(ctx, now); err != nil {
		return err
	}
	m.looked = now
	return nil
}

// look goes through what this console has: copies what nobody else has, takes back what is
// not what it was, and removes what was removed while it was away.
func (m *mender) look(ctx context.Context, now time.Time) error {
	a := m.c.opts.Archives
	own, err := a.opts.Vault.List(ctx)
	if err != nil {
		return err
	}
	elsewhere, answer := m.elsewhere(ctx, now)
	known, err := m.c.allArchives(ctx)
	if err != nil {
		return err
	}
	a.forgetAllBut(own)
	for _, item := range own {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		kept, is := known[item.Name]
		_, copied := elsewhere[item.Name]
		switch {
		case !is:
			err = errors.Join(err, m.c.removeLeftover(ctx, item))
		case item.Size != kept.Size || a.isDamaged(item.Name):
			a.damage(item.Name)
			err = errors.Join(err, a.takeBack(ctx, kept))
		case copied:
			a.note(item.Name, false)
		case a.isAlone(item.Name) || !m.mayBeBack(now):
			err = errors.Join(err, a.copyToOne(ctx, answer, kept))
		}
	}
	return errors.Join(err, m.putBack(ctx, answer, known))
}

// elsewhere is what others have, and who answers.
func (m *mender) elsewhere(ctx context.Context, now time.Time) (has map[string]bool, answer []string) {
	has = map[string]bool{}
	for _, member := range m.others {
		items, err := m.c.opts.Archives.opts.Peers.List(ctx, member)
		if err != nil {
			if m.away[member].IsZero() {
				m.away[member] = now
			}
			continue
		}
		delete(m.away, member)
		answer = append(answer, member)
		for _, item := range items {
			has[item.Name] = true
		}
	}
	return has, answer
}

// mayBeBack says whether somebody is away who may have copies, and not for long.
func (m *mender) mayBeBack(now time.Time) bool {
	return slices.ContainsFunc(m.others, func(member string) bool {
		since := m.away[member]
		return !since.IsZero() && now.Sub(since) < awayFor
	})
}

// copyToOne has one of those that answer keep an archive.
func (a *Archives) copyToOne(ctx context.Context, answer []string, kept Archive) (err error) {
	key := archiveID(kept.Instance, kept.Name)
	a.note(key, true)
	for _, member := range answer {
		failed := a.copyTo(ctx, member, kept)
		if failed == nil {
			a.note(key, false)
			return nil
		}
		err = errors.Join(err, failed)
	}
	return err
}

// takeBack replaces a file that is not what was verified by another console's.
func (a *Archives) takeBack(ctx context.Context, kept Archive) error {
	key := archiveID(kept.Instance, kept.Name)
	sum, err := hex.DecodeString(kept.SHA256)
	if err != nil {
		return err
	}
	err = a.elsewhere(ctx, key, func(member string, file io.ReadCloser) error {
		err := errors.Join(a.Keep(ctx, key, kept.Size, sum, file), file.Close())
		var input *InputError
		switch {
		case err == nil:
			a.trust(key, member)
			a.opts.Log.Info("a backup was damaged here; another console's took its place", "backup", key, "from", member)
			return nil
		case errors.As(err, &input):
			a.doubt(key, member)
		}
		return fmt.Errorf("from %s: %w", member, err)
	})
	if err != nil {
		return fmt.Errorf("take back backup %s, which is damaged here: %w", key, err)
	}
	return nil
}

// putBack has those whose files are doubted take good ones, and trusts them again. One
// that is good is not sent.
func (m *mender) putBack(ctx context.Context, answer []string, known map[string]Archive) (err error) {
	a := m.c.opts.Archives
	a.mu.Lock()
	doubted := slices.Collect(maps.Keys(a.doubted))
	a.mu.Unlock()
	for _, at := range doubted {
		kept, is := known[at.key]
		switch {
		case !is || !slices.Contains(m.others, at.member):
			a.trust(at.key, at.member) // it is gone
		case slices.Contains(answer, at.member):
			failed := a.copyTo(ctx, at.member, kept)
			if failed == nil {
				a.trust(at.key, at.member)
			}
			err = errors.Join(err, failed)
		}
	}
	return err
}

// tellRemoved has others remove what was removed here.
func (a *Archives) tellRemoved(ctx context.Context) {
	a.mu.Lock()
	removed := slices.Collect(maps.Keys(a.removed))
	clear(a.removed)
	a.mu.Unlock()
	if len(removed) > 0 {
		a.removeElsewhere(ctx, func(context.Context, string) ([]string, error) { return removed, nil })
	}
}

// troubled is how many archives have no copy, or no good one here.
func (a *Archives) troubled() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.alone) + len(a.damaged)
}

// forgetAllBut drops notes of what is not here any more.
func (a *Archives) forgetAllBut(own []archive.Item) {
	here := map[string]bool{}
	for _, item := range own {
		here[item.Name] = true
	}
	gone := func(key string, _ bool) bool { return !here[key] }
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.alone, gone)
	maps.DeleteFunc(a.damaged, gone)
}

func (a *Archives) isAlone(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.alone[key]
}

// allArchives are those that consoles keep, by what they are called in a vault.
func (c *Console) allArchives(ctx context.Context) (map[string]Archive, error) {
	all := map[string]Archive{}
	err := c.store.View(ctx, func(tx Tx) error {
		clear(all)
		return each(tx, Query{}, func(a Archive) {
			if a.Vault == "" {
				all[a.record().ID] = a
			}
		})
	})
	return all, err
}

// removeLeftover removes a file that nobody knows of any more, where the store says why:
// its event was purged, or enough newer ones came. Another one may be on its way, or be
// newer than a backup of the store that was restored.
func (c *Console) removeLeftover(ctx context.Context, item archive.Item) error {
	instance, _, _ := strings.Cut(item.Name, ".")
	over := false
	err := c.store.View(ctx, func(tx Tx) error {
		over = false
		i, err := get[Instance](tx, instance)
		if err != nil {
			return err
		}
		e, err := get[Event](tx, i.Event)
		if err != nil {
			return err
		}
		all, err := list[Archive](tx, Query{Parent: instance})
		newer := slices.DeleteFunc(all, func(a Archive) bool { return !a.Verified.After(item.Modified) })
		over = e.State == EventPurged || len(newer) >= archivesKept
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || !over {
		return err
	}
	c.log.Info("remove a backup that was removed elsewhere", "backup", item.Name)
	return c.opts.Archives.opts.Vault.Delete(ctx, item.Name)
}
