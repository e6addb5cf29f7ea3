package certs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// retryAfter is how long a name rests after certmagic gave up on it. Within an
// attempt it backs off by itself, from a minute to hours, for a month.
const retryAfter = time.Hour

// The events of certmagic that are acted on.
const (
	eventFailed   = "cert_failed"
	eventObtained = "cert_obtained"
)

// Manage loads the certificates that are kept, asks for those that are missing,
// and renews them, until ctx ends or Close. It returns at once and is called once.
func (c *Certs) Manage(ctx context.Context) {
	ctx, c.cancel = context.WithCancel(ctx)
	for _, domain := range c.opts.Domains {
		c.jobs.Go(func() { c.keep(ctx, domain) })
	}
}

// keep ends when the domain has a certificate, which certmagic then renews, or
// when ctx does.
func (c *Certs) keep(ctx context.Context, domain string) {
	for {
		err := c.obtain(ctx, domain)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.trouble(domain, err)
		timer := time.NewTimer(retryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// obtain returns when the domain has a certificate that is not due for renewal.
func (c *Certs) obtain(ctx context.Context, domain string) error {
	if err := c.config.ObtainCertAsync(ctx, domain); err != nil { // nothing is asked for what is kept
		return err
	}
	cert, err := c.config.CacheManagedCertificate(ctx, domain)
	if err != nil {
		return fmt.Errorf("read the certificate kept for %s: %w", domain, err)
	}
	if cert.NeedsRenewal(c.config) {
		// A machine that was off for long comes back with an old one, and certmagic
		// would see that only at its next round.
		if err := c.config.RenewCertAsync(ctx, domain, false); err != nil {
			return err
		}
		// The old one is left beside it: without it https had no answer for a moment,
		// and of two certificates certmagic takes the one that holds.
		if cert, err = c.config.CacheManagedCertificate(ctx, domain); err != nil {
			return fmt.Errorf("read the renewed certificate of %s: %w", domain, err)
		}
	}
	c.log.Info("https is answered", "domain", domain, "until", cert.Leaf.NotAfter)
	return nil
}

// onEvent hears from certmagic how attempts end.
func (c *Certs) onEvent(_ context.Context, event string, data map[string]any) error {
	domain, _ := data["identifier"].(string)
	switch event {
	case eventFailed:
		if err, ok := data["error"].(error); ok && !errors.Is(err, context.Canceled) {
			c.trouble(domain, err)
		}
	case eventObtained:
		c.mu.Lock()
		delete(c.problems, domain)
		c.mu.Unlock()
		c.log.Info("got certificate", "domain", domain)
	}
	return nil
}

// trouble tells why a domain has no fresh certificate.
func (c *Certs) trouble(domain string, err error) {
	var sentence string
	if c.Covers(domain) {
		sentence = fmt.Sprintf("the certificate of %s could not be renewed and is tried again while the old one holds: %s", domain, reason(err))
	} else {
		sentence = fmt.Sprintf("%s has no certificate yet, is answered in plain http, and it is tried again: %s; see that its DNS leads to this machine and that port 80 is open", domain, reason(err))
	}
	c.log.Warn(sentence, "domain", domain) // before: whoever sees the problem finds it in the log
	c.mu.Lock()
	c.problems[domain] = sentence
	c.mu.Unlock()
}

// reason is what the authority said, or why it could not be asked.
func reason(err error) string {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return strings.TrimSuffix(err.Error(), ".")
	}
	said := strings.TrimSuffix(problem.Detail, ".")
	for _, sub := range problem.Subproblems {
		said += "; " + strings.TrimSuffix(sub.Detail, ".")
	}
	return "the authority says: " + said
}

// Problems are, in sentences, what keeps names from having a fresh certificate.
func (c *Certs) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, sentence := range c.problems {
		all = append(all, sentence)
	}
	slices.Sort(all)
	return all
}
