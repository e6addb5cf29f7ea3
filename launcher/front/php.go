package front

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// PHPOptions are what PHP serves.
type PHPOptions struct {
	Network string // of php-fpm's listener; empty: unix
	Address string // the path of its socket, or host:port
	// View is the real path of the folder that Release was opened at. php-fpm is
	// handed real paths in it, never a link that moves: what a running request
	// resolved stays one release and one revision.
	View        string
	Release     *os.Root // the view; the caller closes it after Stop
	PublishPath string   // as in StaticOptions
	Index       string   // empty: index.php, and where there is none index.html
	Mounts      []Mount  // as in StaticOptions; no .php in them ever runs
	Cache       *Cache
	MaxBody     int64     // bytes of a request's body; 0: 256 MiB
	TempDir     string    // where bodies over 64 KiB wait; empty: the system's
	Stderr      io.Writer // what PHP says on its error stream; written by several requests at once; nil: dropped
}

// PHP serves a folder of PHP: the release's own regular .php files, with what
// follows them as PATH_INFO, are run by php-fpm over FastCGI; all else is
// served as by Static. A .php file in a mount is sent as plain text, and where
// no script is there (x.jpg/y.php, a link) the answer is 404: PHP is never asked.
//
// A request's body is taken whole before PHP is asked, so that a slow upload
// holds no PHP process; the answer is passed on as it comes.
func PHP(o PHPOptions) (http.Handler, error) {
	t, err := newTree(o.Release, o.PublishPath, o.Mounts)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(o.View) {
		return nil, fmt.Errorf("serve php: view %q is not an absolute path", o.View)
	}
	if o.Address == "" {
		return nil, errors.New("serve php: the address of php-fpm is not given")
	}
	o.Network = cmp.Or(o.Network, "unix")
	o.MaxBody = cmp.Or(o.MaxBody, defaultMaxBody)
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	p := &php{opts: o, tree: t, index: []string{"index.php", "index.html"}}
	if o.Index != "" {
		p.index = []string{o.Index}
	}
	p.files = newFiles(t, slices.DeleteFunc(slices.Clone(p.index), isPHP), o.Cache)
	return p, nil
}

type php struct {
	opts  PHPOptions
	tree  *tree
	index []string
	files *files // knows no index that is PHP: it would show its source
}

func (p *php) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, verdict := p.find(r.URL.Path)
	switch verdict {
	case runScript:
		p.run(w, r, s)
	case nothingThere:
		fail(w, r, noticeNotFound(), nil)
	case plainFile:
		p.files.ServeHTTP(w, r)
	}
}

// A script is a .php file of the release, and the rest of the path it was asked with.
type script struct {
	name     string // relative to the release
	urlPath  string // its own, SCRIPT_NAME
	pathInfo string // empty, or beginning with a slash
}

type verdict int

const (
	plainFile verdict = iota
	runScript
	nothingThere
)

// find decides what a path is. It is the only place that lets anything run.
func (p *php) find(urlPath string) (script, verdict) {
	clean := path.Clean("/" + urlPath)
	for end := range scriptEnds(clean) {
		pl, ok := p.tree.locate(clean[:end])
		if !ok || pl.from != fromRelease {
			break // the files' handler knows what to say
		}
		if pl.isScript() {
			return script{pl.name, clean[:end], clean[end:] + trailing(urlPath)}, runScript
		}
		if st, err := pl.root.Stat(pl.name); err != nil || !st.IsDir() {
			return script{}, nothingThere // its source is not shown either
		}
	}
	return p.findIndex(clean, urlPath)
}

// findIndex looks for the script that answers for a folder.
func (p *php) findIndex(clean, urlPath string) (script, verdict) {
	if !strings.HasSuffix(urlPath, "/") {
		return script{}, plainFile
	}
	for _, index := range p.index {
		name := path.Join(clean, index)
		pl, ok := p.tree.locate(name)
		if !ok {
			continue
		}
		if pl.isScript() {
			return script{pl.name, name, ""}, runScript
		}
		if st, err := pl.root.Stat(pl.name); err == nil && st.Mode().IsRegular() && !isPHP(index) {
			break // index.html stands before index.php in this list
		}
	}
	return script{}, plainFile
}

// scriptEnds yields where in a path a segment ends that looks like a script.
func scriptEnds(clean string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := 1; i <= len(clean); i++ {
			if (i == len(clean) || clean[i] == '/') && isPHP(clean[:i]) && !yield(i) {
				return
			}
		}
	}
}

// isPHP takes .PHP and .phtml for PHP too: they do not run, and are not shown.
func isPHP(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".php", ".phtml", ".phar", ".php3", ".php4", ".php5", ".php7", ".php8", ".phps":
		return true
	}
	return false
}

func trailing(urlPath string) string {
	if strings.HasSuffix(urlPath, "/") {
		return "/"
	}
	return ""
}

// run has php-fpm answer a request.
func (p *php) run(w http.ResponseWriter, r *http.Request, s script) {
	body, err := holdBody(w, r, p.opts.MaxBody, p.opts.TempDir)
	if err != nil {
		p.refuseBody(w, r, err)
		return
	}
	defer body.Close() //nolint:errcheck // a temporary file that has no name any more
	out := &cgiWriter{w: w}
	call := fcgiCall{network: p.opts.Network, address: p.opts.Address, params: p.params(r, s, body.size), body: body, stderr: p.opts.Stderr}
	switch err := call.do(r, out); {
	case err == nil:
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the reader has left, or the drain is over
	case out.begun:
		if f, ok := w.(failer); ok {
			f.failed(err)
		}
		panic(http.ErrAbortHandler) // half a page must not pass for a whole one
	default:
		fail(w, r, noticeNoAnswer(), err)
	}
}

func (p *php) refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, r, noticeTooLarge(large.Limit), nil)
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler)
	case errors.Is(err, errBodyRead):
		fail(w, r, noticeBadBody(), nil)
	default:
		fail(w, r, noticeBroken(), err)
	}
}
