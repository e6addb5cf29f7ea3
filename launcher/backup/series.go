package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"popup/internal/archive"
)

// A Series is the archives of one instance, which may share a vault with others.
type Series struct {
	App      string
	Instance string
	Sealed   bool // new ones are encrypted; there may be others
}

const (
	suffix     = ".tar.zst"
	timeLayout = "20060102T150405Z"
)

// Name is what an archive of the series that was taken at a time is called:
// <app>-<instance>-<UTC time to the second>.tar.zst, and .age where it is encrypted.
func (s Series) Name(at time.Time) string {
	name := s.of() + "-" + at.UTC().Format(timeLayout) + suffix
	if s.Sealed {
		name += archive.Sealed
	}
	return name
}

func (s Series) of() string { return s.App + "-" + s.Instance }

// Time is when the archive of that name was taken; false when it is not of the
// series.
func (s Series) Time(name string) (time.Time, bool) {
	of, at, ok := ParseName(name)
	return at, ok && of == s.of()
}

// ParseName reads the name of an archive: <app>-<instance>, and when it was taken.
func ParseName(name string) (of string, at time.Time, ok bool) {
	text, ok := strings.CutSuffix(strings.TrimSuffix(name, archive.Sealed), suffix)
	cut := len(text) - len(timeLayout)
	if !ok || cut < 2 || text[cut-1] != '-' {
		return "", time.Time{}, false
	}
	at, err := time.Parse(timeLayout, text[cut:])
	return text[:cut-1], at, err == nil && at.Format(timeLayout) == text[cut:]
}

// List is what vault has of the series, the newest first.
func (s Series) List(ctx context.Context, vault archive.Vault) ([]archive.Item, error) {
	items, err := vault.List(ctx)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i archive.Item) bool {
		_, ours := s.Time(i.Name)
		return !ours
	})
	slices.SortFunc(items, func(a, b archive.Item) int { return strings.Compare(b.Name, a.Name) })
	return items, nil
}

// Prune keeps the newest archives of the series, as many as keep says, and deletes
// the others. It returns the names of those it deleted, also with an error. Keep
// is at least 1: a series is not emptied by mistake.
func Prune(ctx context.Context, vault archive.Vault, s Series, keep int) ([]string, error) {
	if keep < 1 {
		return nil, fmt.Errorf("prune backups: %d is not a number of backups to keep; keep at least 1", keep)
	}
	items, err := s.List(ctx, vault)
	if err != nil {
		return nil, fmt.Errorf("prune backups: %w", err)
	}
	var deleted []string
	var failures error
	for _, item := range items[min(keep, len(items)):] {
		if err := vault.Delete(ctx, item.Name); err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		deleted = append(deleted, item.Name)
	}
	if failures != nil {
		return deleted, fmt.Errorf("prune backups: %w", failures)
	}
	return deleted, nil
}
