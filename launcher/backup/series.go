package backup

import (
	"cmp"
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
	name := s.Of() + "-" + at.UTC().Format(timeLayout) + suffix
	if s.Sealed {
		name += archive.Sealed
	}
	return name
}

// Of is what the names of the series begin with.
func (s Series) Of() string { return s.App + "-" + s.Instance }

// Time is when the archive of that name was taken; false when it is not of the
// series.
func (s Series) Time(name string) (time.Time, bool) {
	of, at, ok := ParseName(name)
	return at, ok && of == s.Of()
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
	return List(ctx, vault, s.Of())
}

// List is what vault has of a series, the newest first; where of is empty, of all of
// them, one after the other.
func List(ctx context.Context, vault archive.Vault, of string) ([]archive.Item, error) {
	items, err := vault.List(ctx)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i archive.Item) bool {
		whose, _, ok := ParseName(i.Name)
		return !ok || of != "" && of != whose
	})
	slices.SortFunc(items, func(a, b archive.Item) int {
		ofA, atA, _ := ParseName(a.Name)
		ofB, atB, _ := ParseName(b.Name)
		return cmp.Or(strings.Compare(ofA, ofB), atB.Compare(atA), strings.Compare(b.Name, a.Name))
	})
	return items, nil
}

// Prune keeps the newest archives of a series, as many as keep says, and deletes the
// others; where of is empty, of each series. It returns the names of those it deleted,
// also with an error. Keep is at least 1: a series is not emptied by mistake.
func Prune(ctx context.Context, vault archive.Vault, of string, keep int) ([]string, error) {
	if keep < 1 {
		return nil, fmt.Errorf("prune backups: %d is not a number of backups to keep; keep at least 1", keep)
	}
	items, err := List(ctx, vault, of)
	if err != nil {
		return nil, fmt.Errorf("prune backups: %w", err)
	}
	var deleted []string
	var failures error
	kept := map[string]int{}
	for _, item := range items {
		whose, _, _ := ParseName(item.Name)
		if kept[whose]++; kept[whose] <= keep {
			continue
		}
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

// Newest is the name of the newest archive of a series, or, where of is empty, of the
// only one that the vault has.
func Newest(ctx context.Context, vault archive.Vault, of string) (string, error) {
	items, err := List(ctx, vault, of)
	if err != nil {
		return "", err
	}
	var all []string
	for _, item := range items {
		whose, _, _ := ParseName(item.Name)
		all = append(all, whose)
	}
	all = slices.Compact(all)
	switch {
	case len(all) > 1:
		return "", fmt.Errorf("the vault holds backups of several instances (%s); name one of them, or a backup", strings.Join(all, ", "))
	case len(all) == 0 && of != "":
		return "", fmt.Errorf("%w of %s in the vault", archive.ErrNotFound, of)
	case len(all) == 0:
		return "", fmt.Errorf("%w in the vault", archive.ErrNotFound)
	}
	return items[0].Name, nil
}
