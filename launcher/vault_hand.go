package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"popup/internal/archive"
	"popup/internal/wire"
	"popup/launcher/backup"
)

// A Hand works on a vault without an instance.
type Hand struct {
	vault archive.Vault
}

// OpenHand opens the folder or bucket that spec names, which must be there.
func OpenHand(spec wire.State) (*Hand, error) {
	if !strings.HasPrefix(spec.Vault, wire.VaultBucket) {
		if spec.Vault == wire.VaultConsole {
			return nil, errors.New("a console's vault is asked by its instances; popup archive downloads what it holds")
		}
		info, err := os.Stat(spec.Vault)
		if err == nil && !info.IsDir() {
			err = errors.New("it is not a folder")
		}
		if err != nil {
			return nil, fmt.Errorf("open vault %s: %w", spec.Vault, err)
		}
	}
	vault, err := OpenVault(spec)
	if err != nil {
		return nil, err
	}
	return &Hand{vault}, nil
}

// List is what the vault has of an app and instance, or, where of is empty, of all of
// them, each the newest first.
func (h *Hand) List(ctx context.Context, of string) ([]Backup, error) {
	items, err := backup.List(ctx, h.vault, of)
	if err != nil {
		return nil, err
	}
	return allNamed(items), nil
}

// Prune keeps so many of each, and returns the names of those that are gone.
func (h *Hand) Prune(ctx context.Context, of string, keep int) ([]string, error) {
	return backup.Prune(ctx, h.vault, of, keep)
}

// A HandOrder says which backup goes where.
type HandOrder struct {
	Of       string // an app and instance, whose newest one it is; empty: of the only one
	Name     string // of the backup; empty: the newest
	Identity string // opens one that is encrypted
	Into     string // an empty folder, made where it is missing
}

// Restore restores a backup into a folder, where everything belongs to whoever runs this.
func (h *Hand) Restore(ctx context.Context, order HandOrder) (restored Backup, err error) {
	if order.Name == "" {
		if order.Name, err = backup.Newest(ctx, h.vault, order.Of); err != nil {
			return restored, err
		}
	}
	if err := os.Mkdir(order.Into, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return restored, fmt.Errorf("restore backup: %w", err)
	}
	into, err := os.OpenRoot(order.Into)
	if err != nil {
		return restored, fmt.Errorf("restore backup: %w", err)
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	r, err := h.vault.Get(ctx, order.Name)
	if err != nil {
		return restored, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	plain, err := archive.Open(order.Name, r, order.Identity)
	if err != nil {
		return restored, err
	}
	m, err := backup.Restore(ctx, plain, into, archive.Limits{})
	if err != nil {
		return restored, fmt.Errorf("%s: %w", order.Name, err)
	}
	restored = describeRestored(order.Name, m)
	if n := len(m.Secrets); n > 0 {
		restored.Notes = append(restored.Notes, fmt.Sprintf("%d secrets that the instance made for the app are in the backup; an instance that is launched with it, or restores it, gets them", n))
	}
	return restored, nil
}

func allNamed(items []archive.Item) []Backup {
	list := make([]Backup, len(items))
	for i, item := range items {
		list[i] = named(item)
	}
	return list
}

func describeRestored(name string, m archive.Manifest) Backup {
	b := named(archive.Item{Name: name})
	b.Notes = m.Notes
	for _, e := range m.Entries {
		if e.Kind == archive.KindFile {
			b.Files, b.Size = b.Files+1, b.Size+e.Size
		}
	}
	return b
}
