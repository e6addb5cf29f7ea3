package console

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"popup/apps"
	"popup/console/catalogue"
	"popup/internal/guard"
	"popup/internal/wire"
	"popup/userdata"
)

// A Catalogue finds what is launched. *catalogue.Catalogue is one.
type Catalogue interface {
	App(id apps.AppID) (catalogue.App, error)
	Inspect(ctx context.Context, repository string) (catalogue.Proposal, error)
}

// An offer is an app that was found, and what its launch begins with.
type offer struct {
	apps.Loaded
	Commit     string
	Repository string // empty: it is the catalogue's
	Overrides  userdata.Overrides
	Notes      []string
}

// offer finds what a request asks for. Its errors: *InputError, *ConflictError, and the
// console's own.
func (c *Console) offer(ctx context.Context, r AppRequest) (offer, error) {
	found, err := c.find(ctx, r)
	if err != nil {
		return offer{}, err
	}
	if r.Commit != "" && r.Commit != found.Commit {
		return offer{}, &ConflictError{fmt.Sprintf("%s has changed since it was looked at: it is at %s now, and %s was looked at; look at it again",
			found.Name, short(found.Commit), short(r.Commit))}
	}
	return found, nil
}

func (c *Console) find(ctx context.Context, r AppRequest) (offer, error) {
	var w wrong
	switch {
	case c.opts.Catalogue == nil:
		w.add("app", "this console has no catalogue")
	case (r.App == "") == (r.Repository == ""):
		w.add("app", "give either an app of the catalogue or a repository")
	case len(r.App) > mostAppID:
		w.add("app", "there is no such app in the catalogue")
	case len(r.Repository) > mostAddress:
		w.add("repository", fmt.Sprintf("an address has at most %d characters", mostAddress))
	case r.App != "":
		app, err := c.opts.Catalogue.App(r.App)
		if missing := new(catalogue.NotFoundError); errors.As(err, &missing) {
			w.add("app", missing.Error())
			break
		}
		return offer{Loaded: app.Loaded, Commit: app.Commit, Overrides: app.Overrides()}, err
	default:
		p, err := c.opts.Catalogue.Inspect(ctx, r.Repository)
		if err == nil {
			return offer{p.Loaded, p.Commit, r.Repository, p.Overrides(), p.Notes}, nil
		}
		if !w.repository(err) {
			return offer{}, err
		}
	}
	return offer{}, w.err()
}

// mostAppID is how long the id of an app is; see apps.AppID.
const mostAppID = 40

// repository notes what is wrong with a repository that was looked at; false: it is
// nothing that whoever gave it can do something about.
func (w *wrong) repository(err error) bool {
	var input *catalogue.InputError
	var problems apps.Problems
	switch {
	case errors.As(err, &input):
		w.add("repository", sentences(input.Message, input.Try))
	case errors.As(err, &problems):
		for _, p := range problems {
			w.add("repository", p.String())
		}
	default:
		return false
	}
	return true
}

// sentences joins what is wrong and what to try.
func sentences(what, try string) string {
	if try == "" {
		return what
	}
	return what + "; " + try
}

func short(commit string) string { return commit[:min(len(commit), 12)] }

// checkSources refuses code and data that lie within the console's own network, or on
// its machine: what the catalogue names is its owner's choice, all else a stranger's.
func (c *Console) checkSources(ctx context.Context, o offer, r AppRequest, plan wire.Plan) error {
	var w wrong
	if o.Repository != "" || r.Service != "" {
		w.check("service", c.checkSource(ctx, plan.Service))
	}
	if plan.Data != nil && (o.Repository != "" || r.Data != "") {
		w.check("data", c.checkSource(ctx, *plan.Data))
	}
	return w.err()
}

// checkSource says why no instance is sent to a source. What is no address of a host is
// let through where NewPlan lets it through: buckets, and what ships with popup.
func (c *Console) checkSource(ctx context.Context, s wire.Source) error {
	if s.Kind == apps.SourceS3 || strings.HasPrefix(s.URL, wire.CataloguePrefix) {
		return nil
	}
	host := hostOf(s.URL)
	if host == "" {
		return errors.New("that is a folder of some machine; give a repository's address")
	}
	return c.checkHost(ctx, host)
}

// hostTimeout bounds the look-up of one name.
const hostTimeout = 5 * time.Second

// checkHost refuses hosts within the console's own network. A name that is not found
// now may be so later.
func (c *Console) checkHost(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	refused := new(guard.RefusedError)
	if err := c.opts.Guard.Check(ctx, host); errors.As(err, &refused) {
		return refused
	}
	return nil
}

// hostOf is the host of a repository's address; empty: it has none.
func hostOf(address string) string {
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme == "file" {
			return ""
		}
		return u.Hostname()
	}
	if !apps.IsRemote(address) {
		return ""
	}
	host, _, _ := strings.Cut(address, ":")
	return host[strings.LastIndex(host, "@")+1:]
}
