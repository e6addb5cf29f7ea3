package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"popup/datasync"
	"popup/internal/archive"
	"popup/internal/wire"
	"popup/launcher/backup"
)

// checkVault says what is wrong with where the plan has backups kept.
func checkVault(plan wire.Plan) error {
	err := plan.State.Check()
	if plan.State.Vault == wire.VaultConsole && plan.Console == nil {
		err = errors.Join(err, fmt.Errorf("state.vault is %q, and the plan names no console; name one, or a folder", wire.VaultConsole))
	}
	if plan.State.Recipient != "" {
		err = errors.Join(err, archive.CheckRecipient(plan.State.Recipient))
	}
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	return nil
}

// openVault opens where backups of the state are kept.
func (a *Appliance) openVault() (archive.Vault, error) {
	if a.opts.Plan.State.Vault == wire.VaultConsole {
		return a.console.vault(), nil
	}
	spec := a.opts.Plan.State
	spec.Vault = firstOf(spec.Vault, a.at.vault())
	return OpenVault(spec)
}

// OpenVault opens the folder or the bucket that spec names as a vault.
func OpenVault(spec wire.State) (archive.Vault, error) {
	if strings.HasPrefix(spec.Vault, wire.VaultBucket) {
		return datasync.OpenVault(spec, datasync.SourceOptions{})
	}
	return archive.FolderVault(spec.Vault)
}

// backupsKept is how many backups a vault keeps of an instance.
const backupsKept = 14

// pruneBackups removes old ones, where that is not the console's to do.
func (a *Appliance) pruneBackups(ctx context.Context, vault archive.Vault, series backup.Series) error {
	if a.opts.Plan.State.Vault == wire.VaultConsole {
		return nil
	}
	_, err := backup.Prune(ctx, vault, series.Of(), backupsKept)
	return err
}

const (
	// longestSilence is how long neither side may send anything: a console verifies what
	// it was sent before it answers, and other instances' before that.
	longestSilence = 15 * time.Minute
	// expectTimeout is how long a console may take to say that it wants an archive. One
	// that says nothing is sent it.
	expectTimeout = time.Minute
)

// newVaultClient is like newConsoleClient for what may take hours. Whoever uses it
// bounds the silence.
func newVaultClient(console wire.Console) *http.Client {
	client := newConsoleClient(console)
	client.Timeout = 0
	transport := client.Transport.(*http.Transport)
	transport.ResponseHeaderTimeout, transport.ExpectContinueTimeout = 0, expectTimeout
	return client
}

// A consoleVault keeps archives with the console. Put and Get try again until their
// context is over, but for a no that stands; nothing is ever changed or removed.
type consoleVault struct {
	link    *link
	dir     string // archives lie here, without a name, while they are sent
	silence time.Duration
	once    bool // whoever asks asks again by itself
	wait    func(failed int, err error) time.Duration
}

func (l *link) vault() *consoleVault {
	return &consoleVault{link: l, dir: l.app.at.vault(), silence: longestSilence, wait: l.waitAfter}
}

func (v *consoleVault) Put(ctx context.Context, name string, r io.Reader) error {
	err := cmp.Or(archive.CheckName(name), ctx.Err())
	if err == nil {
		err = v.put(ctx, name, r)
	}
	if err != nil {
		return fmt.Errorf("put backup %q: %w", name, err)
	}
	return nil
}

func (v *consoleVault) put(ctx context.Context, name string, r io.Reader) (err error) {
	s, err := newSpool(ctx, v.dir, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.file.Close()) }()
	asked := false
	return v.insist(ctx, func() error {
		if asked && v.has(ctx, name, s) {
			return nil // it was the answer that was lost
		}
		asked = true
		return v.putOnce(ctx, name, s)
	})
}

// has says whether the console keeps s under name, as far as it can be asked.
func (v *consoleVault) has(ctx context.Context, name string, s *spool) bool {
	kept, err := v.list(ctx)
	return err == nil && slices.ContainsFunc(kept, func(k wire.KeptArchive) bool { return k.Name == name && s.is(k) })
}

func (v *consoleVault) putOnce(ctx context.Context, name string, s *spool) error {
	resp, err := v.send(ctx, http.MethodPut, name, s)
	if err != nil {
		return err
	}
	body, err := readAnswer(resp, wire.MaxKept)
	if err != nil {
		return err
	}
	kept, err := wire.ParseKept(body)
	if err != nil {
		return err
	}
	if kept.Name != name || !s.is(kept) {
		return errors.New("the console answers that it keeps something else")
	}
	return nil
}

func (v *consoleVault) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	err := cmp.Or(archive.CheckName(name), ctx.Err())
	var resp *http.Response
	if err == nil {
		err = v.insist(ctx, func() (err error) {
			resp, err = v.send(ctx, http.MethodGet, name, nil)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("get backup %q: %w", name, err)
	}
	return resp.Body, nil
}

// List asks once: nothing that is precious waits for it.
func (v *consoleVault) List(ctx context.Context) ([]archive.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list the console's backups: %w", err)
	}
	kept, err := v.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the console's backups: %w", err)
	}
	var items []archive.Item
	for _, k := range kept {
		if archive.CheckName(k.Name) == nil {
			items = append(items, archive.Item{Name: k.Name, Size: k.Size, Modified: k.Since})
		}
	}
	slices.SortFunc(items, func(a, b archive.Item) int { return strings.Compare(a.Name, b.Name) })
	return items, nil
}

func (v *consoleVault) list(ctx context.Context) ([]wire.KeptArchive, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := v.send(ctx, http.MethodGet, "", nil)
	if err != nil {
		return nil, err
	}
	body, err := readAnswer(resp, wire.MaxVaultList)
	if err != nil {
		return nil, err
	}
	list, err := wire.ParseVaultList(body)
	return list.Archives, err
}

func (v *consoleVault) Delete(ctx context.Context, name string) error {
	if err := cmp.Or(archive.CheckName(name), ctx.Err(), archive.ErrKept); err != nil {
		return fmt.Errorf("delete backup %q: %w", name, err)
	}
	return nil
}

// insist tries until try succeeds, the console says a no that stands, or ctx is over.
// What this instance has not enrolled for yet waits for that.
func (v *consoleVault) insist(ctx context.Context, try func() error) error {
	select {
	case <-v.link.enrolled:
	case <-ctx.Done():
		return ctx.Err()
	}
	for failed := 1; ; failed++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *consoleError
		if errors.As(err, &refused) && refused.final() {
			return meaning(refused)
		}
		if v.once {
			return err
		}
		wait := v.wait(failed, err)
		v.link.log.Warn("ask the console's vault", "attempt", failed, "again", wait, "err", err)
		v.link.app.record(Entry{Event: "backup", Message: "it is tried again: " + err.Error()})
		if pause(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

// meaning says in a vault's words what a console's no is about.
func meaning(refused *consoleError) error {
	switch refused.status {
	case http.StatusNotFound:
		return fmt.Errorf("%w (%w)", archive.ErrNotFound, refused)
	case http.StatusConflict:
		return fmt.Errorf("%w (%w)", archive.ErrKept, refused)
	}
	return refused
}
