package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
)

// What ArchivesOptions mean where they say nothing.
const (
	DefaultMostArchive  = 10 << 30
	DefaultMostUnfolded = 40 << 30
	DefaultSpare        = 1 << 30
)

// ArchivesOptions say where archives are kept, and how much of them.
type ArchivesOptions struct {
	Vault archive.Vault // this console's alone
	// Peers are the vaults of the consoles that it keeps its store with. Nil: it is alone.
	Peers Peers
	Most  int64 // bytes of one archive; 0: DefaultMostArchive
	// Limits bound what verifying one may take. Where they say nothing: as many bytes as
	// DefaultMostUnfolded, 250,000 files and folders, and a list of them of 64 MiB.
	Limits archive.Limits
	// Free is how many bytes the vault's disk still takes. Nil: nobody asks.
	Free  func() (int64, error)
	Spare int64        // bytes of that disk that are left alone; 0: DefaultSpare
	Log   *slog.Logger // nil: nothing is logged
}

// Archives keeps backups of instances: each under "<instance>.<name>" in one vault, and
// where there are several consoles in that of another one as well. What it answers with
// was read back from there. An archive that is there is never replaced.
// Its methods may be called from several goroutines at once.
type Archives struct {
	opts      ArchivesOptions
	verifying chan struct{} // one at a time, for what each takes of memory

	mu     sync.Mutex // guards what follows
	coming map[string]int
	space  int64           // bytes that are announced, and may not be on the disk yet
	naming map[string]bool // what came under these is being verified
	// Of consoles that keep them together: what has no copy, what is not what it was, and
	// what was removed here and others may have still.
	alone, damaged, removed map[string]bool
	doubted                 map[copyAt]bool // what did not read as what was verified
}

// NewArchives keeps archives in a vault.
func NewArchives(opts ArchivesOptions) *Archives {
	opts.Most = cmp.Or(opts.Most, DefaultMostArchive)
	opts.Spare = cmp.Or(opts.Spare, DefaultSpare)
	opts.Limits.Bytes = cmp.Or(opts.Limits.Bytes, DefaultMostUnfolded)
	opts.Limits.Entries = cmp.Or(opts.Limits.Entries, 250_000)
	opts.Limits.List = cmp.Or(opts.Limits.List, 64<<20)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Archives{opts: opts, verifying: make(chan struct{}, 1), coming: map[string]int{}, naming: map[string]bool{}, alone: map[string]bool{}, damaged: map[string]bool{},
		removed: map[string]bool{}, doubted: map[copyAt]bool{}}
}

// An Incoming is an archive that an instance sends. Nothing is read of it before it is
// known to be wanted.
type Incoming struct {
	Instance string
	Name     string
	Size     int64     // bytes, as announced
	SHA256   []byte    // as announced, and signed
	Body     io.Reader // ends when ctx does, or its reads do
}

// Receive keeps an archive, and returns once it was read back from the vault and verified,
// and once another console has it where there is one that answers.
// The same one again is the same. When it was verified is left to the caller, whose clock
// the store goes by. Its error is an *InputError for what is no archive, or
// too much; a *ConflictError for another one under a name that is taken; a *BusyError for
// what may come again.
func (a *Archives) Receive(ctx context.Context, in Incoming) (Archive, error) {
	key, err := keyOf(in.Instance, in.Name)
	if err != nil {
		return Archive{}, err
	}
	if err := a.wants(in); err != nil {
		return Archive{}, err
	}
	leave, err := a.enter(in)
	if err != nil {
		return Archive{}, err
	}
	defer leave()
	kept, err := a.known(ctx, key, in)
	if errors.Is(err, archive.ErrNotFound) {
		kept, err = a.take(ctx, key, in)
	}
	if err == nil {
		err = a.share(ctx, kept)
	}
	if err != nil {
		return Archive{}, err
	}
	return kept, nil
}

// take keeps what nothing has the name of yet.
func (a *Archives) take(ctx context.Context, key string, in Incoming) (Archive, error) {
	named := false
	body := &announced{in: in, sum: sha256.New(), whole: func() error {
		err := a.name(ctx, key)
		named = err == nil
		return err
	}}
	defer func() {
		if named {
			a.named(key)
		}
	}()
	if err := a.opts.Vault.Put(ctx, key, body); err != nil {
		return Archive{}, fmt.Errorf("receive backup of %s: %w", in.Instance, err)
	}
	kept, err := a.readBack(ctx, key, in)
	if err == nil && kept.SHA256 != hex.EncodeToString(in.SHA256) {
		err = errors.Join(errors.New("the vault gives back something else than it was given"), a.opts.Vault.Delete(ctx, key))
	}
	if err != nil {
		return Archive{}, fmt.Errorf("receive backup of %s: %w", in.Instance, err)
	}
	return kept, nil
}

// keyOf is what an archive is called in the vault. No two instances share one: an id has
// no dot here.
func keyOf(instance, name string) (string, error) {
	var w wrong
	w.check("instance", wire.CheckInstance(instance))
	if strings.Contains(instance, ".") {
		w.add("instance", "it has a dot, and no instance of this console has")
	}
	w.check("name", archive.CheckName(name))
	key := archiveID(instance, name)
	if len(w.fields) == 0 {
		w.check("name", archive.CheckName(key))
	}
	return key, w.err()
}

// wants refuses what is too large before any of it is read.
func (a *Archives) wants(in Incoming) error {
	var w wrong
	if len(in.SHA256) != sha256.Size {
		w.add("sha256", "its SHA-256 is missing")
	}
	switch {
	case in.Size < 0:
		w.add("size", "its size is missing")
	case in.Size > a.opts.Most:
		w.add("size", fmt.Sprintf("the backup has %d bytes, and at most %d are kept; have the app clean up, or its operator allow more", in.Size, a.opts.Most))
	}
	return w.err()
}

// mostComing is how many archives of one instance may be on their way: one, and one whose
// connection is dead and not known to be.
const mostComing = 2

// enter sets space aside for what comes.
func (a *Archives) enter(in Incoming) (leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.coming[in.Instance] == mostComing {
		return nil, &BusyError{"backups of " + in.Instance + " are on their way already; wait for them", 10 * time.Second}
	}
	if a.opts.Free != nil {
		free, err := a.opts.Free()
		if err != nil {
			return nil, fmt.Errorf("receive backup of %s: %w", in.Instance, err)
		}
		if free-a.space-in.Size < a.opts.Spare {
			return nil, &BusyError{"the disk of the console's vault is full; its operator has to free some space", time.Minute}
		}
	}
	a.coming[in.Instance]++
	a.space += in.Size
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.space -= in.Size
		if a.coming[in.Instance]--; a.coming[in.Instance] == 0 {
			delete(a.coming, in.Instance)
		}
	}, nil
}

// known returns what has the name already, if that is the same. Its error is
// archive.ErrNotFound where nothing has it, or nothing that is whole.
func (a *Archives) known(ctx context.Context, key string, in Incoming) (Archive, error) {
	if err := a.has(ctx, key); err != nil {
		return Archive{}, err
	}
	kept, err := a.readBack(ctx, key, in)
	var input *InputError
	switch {
	case errors.As(err, &input):
		return Archive{}, archive.ErrNotFound // it was removed
	case err == nil && kept.SHA256 != hex.EncodeToString(in.SHA256):
		return Archive{}, errNameTaken
	}
	return kept, err
}

// has is nil, or archive.ErrNotFound, or says why that is not known.
func (a *Archives) has(ctx context.Context, key string) error {
	file, err := a.opts.Vault.Get(ctx, key)
	if err != nil {
		return err
	}
	return file.Close()
}

// name gives a name to one archive alone, all of which is there.
func (a *Archives) name(ctx context.Context, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.has(ctx, key)
	switch {
	case err == nil || a.naming[key]:
		return &BusyError{"a backup of that name came at the same time; ask again", time.Second}
	case !errors.Is(err, archive.ErrNotFound):
		return err
	}
	a.naming[key] = true
	return nil
}

// named says that what got the name was verified, or is gone.
func (a *Archives) named(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.naming, key)
}

// readBack verifies what the vault has under key. What is no archive, or too much, is
// removed, and the error is an *InputError.
func (a *Archives) readBack(ctx context.Context, key string, in Incoming) (Archive, error) {
	select {
	case a.verifying <- struct{}{}:
		defer func() { <-a.verifying }()
	case <-ctx.Done():
		return Archive{}, ctx.Err()
	}
	file, err := a.opts.Vault.Get(ctx, key)
	if err != nil {
		return Archive{}, err
	}
	back := &givenBack{r: file, sum: sha256.New()}
	manifest, err := archive.Verify(ctx, back, a.opts.Limits)
	err = errors.Join(err, file.Close())
	if err == nil && manifest.Instance != in.Instance {
		err = fmt.Errorf("verify backup: it says that it is of %q", manifest.Instance)
	}
	switch {
	case back.err != nil, ctx.Err() != nil: // nothing is known of it
		return Archive{}, err
	case err != nil:
		var w wrong
		w.check("archive", err)
		return Archive{}, errors.Join(w.err(), a.opts.Vault.Delete(context.WithoutCancel(ctx), key))
	}
	kept := Archive{Instance: in.Instance, Name: in.Name, Size: back.size, SHA256: hex.EncodeToString(back.sum.Sum(nil)),
		Final: manifest.Final, Taken: manifest.Taken}
	for _, e := range manifest.Entries {
		if e.Kind == archive.KindFile {
			kept.Files++
		}
	}
	return kept, nil
}

// Open returns an archive's bytes. The caller closes it. Its error is ErrNotFound where
// there is none.
func (a *Archives) Open(ctx context.Context, instance, name string) (io.ReadCloser, error) {
	file, _, err := a.open(ctx, instance, name)
	return file, err
}

// open also returns whose file it is; "": this console's.
func (a *Archives) open(ctx context.Context, instance, name string) (file io.ReadCloser, member string, err error) {
	key, err := keyOf(instance, name)
	if err != nil {
		return nil, "", err
	}
	file, member, err = a.openKey(ctx, key)
	if errors.Is(err, archive.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, "", fmt.Errorf("open backup of %s: %w", instance, err)
	}
	return file, member, nil
}

// Remove removes an archive here, and has others told later. One that is not there is fine.
func (a *Archives) Remove(ctx context.Context, instance, name string) error {
	key, err := keyOf(instance, name)
	if err != nil {
		return err
	}
	if a.opts.Peers != nil {
		a.mu.Lock()
		a.removed[key] = true
		a.mu.Unlock()
	}
	return a.removeHere(ctx, key)
}

// Purge removes all archives of some instances, those that were never verified among them.
func (a *Archives) Purge(ctx context.Context, instances ...string) error {
	of := map[string]bool{}
	for _, instance := range instances {
		if _, err := keyOf(instance, "x"); err != nil {
			return err
		}
		of[instance] = true
	}
	if len(of) == 0 {
		return nil
	}
	items, err := a.opts.Vault.List(ctx)
	for _, key := range keysOf(items, of) {
		err = errors.Join(err, a.removeHere(ctx, key))
	}
	a.removeElsewhere(ctx, func(ctx context.Context, member string) ([]string, error) {
		items, err := a.opts.Peers.List(ctx, member)
		return keysOf(items, of), err
	})
	return err
}

// keysOf are the names of those that are of some instances.
func keysOf(items []archive.Item, instances map[string]bool) (keys []string) {
	for _, item := range items {
		if instance, _, _ := strings.Cut(item.Name, "."); instances[instance] {
			keys = append(keys, item.Name)
		}
	}
	return keys
}

// Prune removes the oldest of one instance's archives and returns those that it removed,
// also with an error. It keeps as many as keep says, and beside them the final one: the
// newest that says so, for an end that was moved may have left others.
func (a *Archives) Prune(ctx context.Context, kept []Archive, keep int) (removed []Archive, err error) {
	kept = slices.SortedFunc(slices.Values(kept), func(x, y Archive) int { return y.Verified.Compare(x.Verified) })
	if i := slices.IndexFunc(kept, func(k Archive) bool { return k.Final }); i >= 0 {
		kept = slices.Delete(kept, i, i+1)
	}
	for _, old := range kept[min(max(keep, 0), len(kept)):] {
		if removeErr := a.Remove(ctx, old.Instance, old.Name); removeErr != nil {
			err = errors.Join(err, removeErr)
			continue
		}
		removed = append(removed, old)
	}
	return removed, err
}
