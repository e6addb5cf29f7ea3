package front

import (
	"cmp"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"
)

// StaticOptions are what Static serves.
type StaticOptions struct {
	Release     *os.Root // the caller closes it after Stop
	PublishPath string   // the folder that is the site, relative to the release; empty: all of it
	Index       string   // the file that answers for a folder; empty: index.html
	Mounts      []Mount
	Cache       *Cache // shared by the servings that follow each other; nil: one of its own
}

// Static serves files: of the release, and of the data and state mounted over
// it. Every file is opened through an os.Root, so a link in a repository leads
// nowhere outside. Dot files (but .well-known) and the manifest are not served,
// folders are never listed. An ETag is a hash of the content, so instances of
// one app agree; Last-Modified is not sent, because the times of a checked-out
// tree say nothing. The error says what in the options is wrong.
func Static(o StaticOptions) (http.Handler, error) {
	t, err := newTree(o.Release, o.PublishPath, o.Mounts)
	if err != nil {
		return nil, err
	}
	return newFiles(t, []string{cmp.Or(o.Index, "index.html")}, o.Cache), nil
}

// files serves a tree.
type files struct {
	tree  *tree
	index []string
	cache *Cache
}

func newFiles(t *tree, index []string, cache *Cache) *files {
	if cache == nil {
		cache = NewCache(0)
	}
	return &files{tree: t, index: index, cache: cache}
}

func (s *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pl, ok := s.tree.locate(r.URL.Path)
	if !ok {
		fail(w, r, noticeNotFound(), nil)
		return
	}
	s.serve(w, r, pl)
}

// serve answers for a place: a file, or the index of a folder.
func (s *files) serve(w http.ResponseWriter, r *http.Request, pl place) {
	f, info, err := pl.open()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	slash := strings.HasSuffix(r.URL.Path, "/")
	switch {
	case info.IsDir() && !slash:
		redirectToFolder(w, r)
	case info.IsDir():
		s.serveIndex(w, r)
	case slash:
		fail(w, r, noticeNotFound(), nil)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.readOnly(w, r)
	default:
		s.serveFile(w, r, f, info, pl.from)
	}
}

func (s *files) serveIndex(w http.ResponseWriter, r *http.Request) {
	for _, index := range s.index {
		pl, ok := s.tree.locate(path.Join(r.URL.Path, index))
		if !ok {
			continue
		}
		f, info, err := pl.open()
		if err != nil {
			if !missing(err) {
				s.refuse(w, r, err)
				return
			}
			continue
		}
		defer f.Close() //nolint:errcheck // it was only read
		if info.IsDir() {
			continue
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.readOnly(w, r)
			return
		}
		s.serveFile(w, r, f, info, pl.from)
		return
	}
	fail(w, r, noticeNotFound(), nil)
}

func (s *files) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if missing(err) {
		fail(w, r, noticeNotFound(), nil)
		return
	}
	fail(w, r, noticeBroken(), err)
}

func (s *files) readOnly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	fail(w, r, noticeMethod(r.Method), nil)
}

// redirectToFolder adds the slash that relative links in an index need. The
// path is cleaned first: //host/ would lead away from this site. A form that was
// sent is sent again, to where it belongs.
func redirectToFolder(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: path.Clean("/"+r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Cache-Control", "no-cache")
	http.Redirect(w, r, to.String(), http.StatusPermanentRedirect)
}

// serveFile sends one file, or 304, or a part of it.
func (s *files) serveFile(w http.ResponseWriter, r *http.Request, f *os.File, info os.FileInfo, from origin) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache") // kept, and asked about each time: the next revision shows at once
	contentType := typeOf(info.Name(), f)
	if from == fromState {
		contentType = disarm(h, contentType)
		h.Set("Content-Type", contentType)
		h.Set("ETag", weakTag(info))
		http.ServeContent(w, r, "", time.Time{}, f)
		return
	}
	h.Set("Content-Type", contentType)
	sum, err := s.cache.sum(f, info)
	if err != nil {
		h.Del("Cache-Control")
		fail(w, r, noticeBroken(), err)
		return
	}
	if compressible(contentType) && info.Size() >= minCompressed {
		h.Add("Vary", "Accept-Encoding")
		if body, enc := s.cache.compressed(r, f, info, sum); body != nil {
			h.Set("Content-Encoding", string(enc))
			h.Set("ETag", `"`+sum+"-"+string(enc)+`"`)
			serveBytes(w, r, body)
			return
		}
	}
	h.Set("ETag", `"`+sum+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}
