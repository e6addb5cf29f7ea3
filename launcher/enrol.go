package launcher

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"runtime"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/atomicfile"
	"popup/internal/metadata"
	"popup/internal/wire"
	"popup/userdata"
)

// instanceKey reads the key in path (0600), or makes one and writes it down before
// anybody is told of it.
func instanceKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		return parseKey(path, text)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the instance's key: %w", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the instance's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the instance's key: %w", err)
	}
	text = pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
	if err := atomicfile.Write(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("make the instance's key: %w", err)
	}
	return key, nil
}

const keyBlock = "PRIVATE KEY"

func parseKey(path string, text []byte) (ed25519.PrivateKey, error) {
	if block, _ := pem.Decode(text); block != nil && block.Type == keyBlock {
		if any, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := any.(ed25519.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("read the instance's key: %s holds no ed25519 key; the console knows this instance by it, so put it back, or remove it and give console.token a new token", path)
}

// resume goes on where an earlier start stopped. A plan with a new token begins afresh.
func (l *link) resume() error {
	k := l.kept.get()
	if l.console.Token != "" && k.Token != hashOf(l.console.Token) {
		k = consoleFacts{Seq: k.Seq, Release: k.Release, Revision: k.Revision}
	}
	if k.Seq == 0 {
		// What is lost with the file were low numbers, and reports do not come once a millisecond.
		k.Seq = uint64(max(time.Now().UnixMilli(), 1))
	}
	l.seq = k.Seq // what was set aside and not used is never used
	err := l.kept.update(func(t *consoleFacts) {
		*t = k
		for i := range t.Commands {
			if d := &t.Commands[i]; d.At.IsZero() {
				d.At, d.Text = time.Now().UTC(), "popup was stopped before this was done; ask again if it still should be"
			}
		}
		t.Seq = l.seq + seqBlock
	})
	if err != nil {
		return err
	}
	if k.Enrolled.IsZero() {
		return nil
	}
	close(l.enrolled)
	return l.forgetToken()
}

// hashOf is what is kept of a token, to know it again.
func hashOf(token string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(token))) }

// isEnrolled says whether what the console has for this instance is here.
func (l *link) isEnrolled() bool {
	select {
	case <-l.enrolled:
		return true
	default:
		return false
	}
}

// enrol asks until the console knows this instance. It returns only nil or ctx's error.
func (l *link) enrol(ctx context.Context) error {
	board := l.app.board
	if l.isEnrolled() {
		board.kept(PhaseEnrol)
		return nil
	}
	for failed := 1; ; failed++ {
		board.running(PhaseEnrol)
		err := l.enrolOnce(ctx)
		if err == nil {
			board.done(PhaseEnrol)
			l.app.record(Entry{Event: "enrolled", Message: l.console.URL})
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := l.waitAfter(failed, err)
		l.note(err, wait)
		board.failed(PhaseEnrol, &phaseError{PhaseEnrol, enrolCause(err), err}, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// enrolCause is what the boot page says of err: a console's own sentence, and of a
// network's troubles no address.
func enrolCause(err error) string {
	var refused *consoleError
	switch {
	case errors.As(err, &refused):
		return refused.Cause()
	case errors.Is(err, metadata.ErrAway):
		return "the cloud does not say yet what machine this is"
	case errors.Is(err, metadata.ErrNone):
		return "the cloud does not say what machine this is, and the console wants to know"
	}
	return "the console could not be asked"
}

// How long is waited after a request that failed: for what may pass by itself, as
// long as the console asks for, and for a no that stands until somebody acts.
var (
	askedBackoff = datasync.Backoff{First: 2 * time.Second, Least: time.Second, Most: 15 * time.Second}
	awayBackoff  = datasync.Backoff{First: 4 * time.Second, Least: time.Second, Most: 5 * time.Minute}
	finalBackoff = datasync.Backoff{First: time.Minute, Least: 30 * time.Second, Most: wire.MostPeriod}
)

func (l *link) waitAfter(failed int, err error) time.Duration {
	backoff := awayBackoff
	var refused *consoleError
	switch {
	case !errors.As(err, &refused):
	case refused.final():
		backoff = finalBackoff
	case refused.after > 0:
		backoff = askedBackoff
	}
	backoff.Instance = l.instance + " console"
	return backoff.Wait(failed, err)
}

func (l *link) enrolOnce(ctx context.Context) error {
	e := wire.Enrolment{Version: wire.TalkVersion, Instance: l.instance, Token: l.console.Token,
		Key: l.key.Public().(ed25519.PublicKey), Popup: l.app.opts.Version, Arch: runtime.GOARCH}
	if l.cloud != nil {
		var err error
		if e.Identity, err = l.cloud.Identity(ctx); err != nil {
			return fmt.Errorf("prove to the console what machine this is: %w", err)
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	if body, err = l.call(ctx, outgoing{path: wire.PathEnrol, body: body, most: wire.MaxEnrolled}); err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	answer, err := wire.ParseEnrolled(body)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	settings := maps.Clone(answer.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, answer.Secrets)
	err = l.kept.update(func(t *consoleFacts) {
		t.Token, t.Enrolled, t.Settings, t.Every = hashOf(l.console.Token), time.Now().UTC(), settings, answer.ReportEvery
		t.Restore = answer.Restore
	})
	if err != nil {
		return err
	}
	if err := l.forgetToken(); err != nil {
		return err
	}
	close(l.enrolled)
	return nil
}

// forgetToken takes the used token out of the config; what else stands there, also
// what this version does not know, stays.
func (l *link) forgetToken() error {
	token, path := l.console.Token, l.app.at.config()
	if token == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !userdata.IsPlan(text) {
		return nil // the plan came from elsewhere
	}
	if err != nil {
		return fmt.Errorf("forget the console's token: %w", err)
	}
	plan, err := userdata.DecodePlan(text)
	if err != nil || plan.Console == nil || plan.Console.Token != token {
		return nil
	}
	plan.Console.Token = ""
	without := regexp.MustCompile(`["']?`+regexp.QuoteMeta(token)+`["']?`).ReplaceAll(text, []byte(`""`))
	if again, err := userdata.DecodePlan(without); err != nil || again.Console == nil || again.Console.Token != "" {
		if without, err = userdata.EncodePlan(plan); err != nil {
			return fmt.Errorf("forget the console's token: %w", err)
		}
	}
	if err := atomicfile.Write(path, without, 0o600); err != nil {
		return fmt.Errorf("forget the console's token: %w", err)
	}
	return nil
}

// awaitSettings waits for what the console has for an app that takes settings. All
// others need nothing of a console's.
func (a *Appliance) awaitSettings(ctx context.Context, m apps.Manifest) error {
	if a.console == nil || len(m.Env) == 0 {
		return nil
	}
	select {
	case <-a.console.enrolled:
		return a.awaitState(ctx) // secrets may come with it
	case <-ctx.Done():
		return ctx.Err()
	}
}

// given are the settings of m that whoever launched this gave: in the plan, and
// before those by the console, which may know more than this release takes.
func (a *Appliance) given(m apps.Manifest) map[string]string {
	if a.console == nil {
		return a.opts.Plan.Settings
	}
	given := maps.Clone(a.opts.Plan.Settings)
	if given == nil {
		given = map[string]string{}
	}
	for name, value := range a.console.kept.get().Settings {
		if _, known := m.Env[name]; known {
			given[name] = value
		}
	}
	return given
}
