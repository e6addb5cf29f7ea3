package datasync

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"path/filepath"
	"strconv"
	"time"
)

// RelayHandler serves a folder that a Relay writes, and nothing else that is in it.
// The path's last part is the file's name.
func RelayHandler(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this is only to be read", http.StatusMethodNotAllowed)
			return
		}
		mediaType, caching := relayCaching(name)
		w.Header()["Content-Type"] = []string{mediaType}
		if name != relayHeadName && !isRelayArchive(name) {
			http.NotFound(w, r)
			return
		}
		if name == relayHeadName {
			serveRelayHead(w, r, relayFolder(dir), caching)
			return
		}
		w.Header().Set("Cache-Control", caching)
		w.Header().Set("ETag", strconv.Quote(name))
		http.ServeFile(w, r, filepath.Join(dir, name))
	})
}

func serveRelayHead(w http.ResponseWriter, r *http.Request, f relayFolder, caching string) {
	text, err := f.Head(r.Context())
	if err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(text)
	w.Header().Set("Cache-Control", caching)
	w.Header().Set("ETag", strconv.Quote(hex.EncodeToString(sum[:16])))
	http.ServeContent(w, r, relayHeadName, time.Time{}, bytes.NewReader(text))
}
