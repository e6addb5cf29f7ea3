package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"popup/internal/tree"
)

// Each submodule is another repository to ask, at an address that a stranger wrote.
const (
	mostModules     = 50 // of one tree, at any depth
	mostNesting     = 3
	mostModulesFile = 1 << 20
)

// fetchModules writes the trees of the submodules that are not here.
func (r *Remote) fetchModules(ctx context.Context, c *checkout) error {
	if len(c.modules) == 0 {
		return nil
	}
	from, err := c.moduleAddresses()
	if err != nil {
		return err
	}
	for _, p := range c.modules {
		if *c.asked++; *c.asked > mostModules {
			return &tree.EntryError{Name: p.name, Why: fmt.Sprintf("is a submodule, and there are more than %d; commit the files of some instead", mostModules)}
		}
		if c.nesting == mostNesting {
			return &tree.EntryError{Name: p.name, Why: fmt.Sprintf("is a submodule within %d others, and that is too deep; commit its files instead", mostNesting)}
		}
		url, ok := from[strings.TrimPrefix(p.name, c.dir)]
		if !ok {
			return &tree.EntryError{Name: p.name, Why: "is a submodule, and .gitmodules does not say where it is to be had; add it with git submodule add, or commit its files instead"}
		}
		if err := r.fetchModule(ctx, c, p, url); err != nil {
			return err
		}
	}
	return nil
}

func (r *Remote) fetchModule(ctx context.Context, c *checkout, p place, url string) error {
	sub, err := r.module(url)
	if err != nil {
		return &tree.EntryError{Name: p.name, Why: "is a submodule that is not fetched: " + err.Error()}
	}
	if sub.http != nil && sub.http != r.http {
		defer sub.http.CloseIdleConnections()
	}
	inner := newCheckout(c.w, p.id, p.name+"/")
	inner.nesting, inner.asked = c.nesting+1, c.asked
	err = sub.checkOut(ctx, inner, "")
	var limit *tree.LimitError
	var entry *tree.EntryError
	var nested *Error
	if err == nil || errors.As(err, &limit) || errors.As(err, &entry) || errors.As(err, &nested) && nested.Op != "" {
		return err
	}
	e := new(Error)
	if !errors.As(sub.explain(ctx, "fetch", err), &e) {
		return err
	}
	return &Error{Op: "fetch", Class: e.Class, Retry: e.Retry, After: e.After, Err: err, Why: fmt.Sprintf("the submodule %q is not to be had: %v", p.name, e)}
}

// moduleAddresses reads where submodules are to be had, by where they go.
func (c *checkout) moduleAddresses() (_ map[string]string, err error) {
	const name = ".gitmodules"
	f, err := c.w.Open(c.dir + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.LimitReader(f, mostModulesFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", c.dir+name, err)
	}
	if len(text) > mostModulesFile {
		return nil, &tree.EntryError{Name: c.dir + name, Why: "has more than " + tree.Bytes(mostModulesFile)}
	}
	return parseModules(c.dir+name, text)
}

func parseModules(name string, text []byte) (map[string]string, error) {
	modules := config.NewModules()
	if err := modules.Unmarshal(text); err != nil {
		return nil, &tree.EntryError{Name: name, Why: "is not written as git does: " + err.Error()}
	}
	from := map[string]string{}
	for _, m := range modules.Submodules {
		if m.URL != "" {
			from[path.Clean(m.Path)] = m.URL
		}
	}
	return from, nil
}

// module is the repository of a submodule. One on this machine is only believed of
// one on this machine, and credentials go to no other host.
func (r *Remote) module(url string) (*Remote, error) {
	if strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../") {
		url = r.address.relative(url)
	}
	a, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	if a.local() && !r.address.local() {
		return nil, errors.New("its address is a folder, and only a repository of this machine may name one; use an https address")
	}
	if a.local() && !strings.HasPrefix(url, "file://") && !filepath.IsAbs(url) {
		return nil, errors.New("its address is no URL; use an https address, or one that begins with ../")
	}
	opts := r.opts
	if a.scheme != r.address.scheme || a.host != r.address.host {
		opts.CredentialsFile = ""
	}
	sub, err := New(url, opts)
	if err == nil && sub.http != nil && r.http != nil {
		sub.http = r.http
	}
	return sub, err
}

// relative is the address that begins at a: ../name is the repository beside it.
func (a address) relative(to string) string {
	if a.local() {
		return path.Join(a.path, to)
	}
	start := strings.IndexByte(a.text, ':') + 1 // of user@host:path
	if i := strings.Index(a.text, "://"); i >= 0 {
		start = len(a.text)
		if j := strings.IndexByte(a.text[i+3:], '/'); j >= 0 {
			start = i + 3 + j
		}
	} else if i := strings.LastIndex(a.text, "]:"); i >= 0 {
		start = i + 2
	}
	below := path.Join(a.text[start:], to)
	if start == len(a.text) {
		below = path.Join("/", to)
	}
	return a.text[:start] + below
}
