package front

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	defaultCacheBytes = 32 << 20
	sumCost           = 256      // bytes a remembered hash is counted as
	maxSummed         = 64 << 20 // a larger file is named by its inode, not by its content
	minCompressed     = 1 << 10
	maxCompressed     = 8 << 20 // a larger file is sent as it is
)

// A Cache remembers what files hash to and what they are when compressed. It is
// keyed by content, so one Cache may serve all revisions after each other; it
// forgets what was least used. It may be used from several goroutines.
type Cache struct {
	mu    sync.Mutex
	limit int64
	used  int64
	items map[any]*list.Element
	order *list.List    // the most recently used first
	busy  chan struct{} // a compression each: a crowd of first requests does not take all memory
}

type cacheItem struct {
	key, value any
	cost       int64
}

// NewCache returns a Cache of at most limit bytes; 0: 32 MiB.
func NewCache(limit int64) *Cache {
	if limit <= 0 {
		limit = defaultCacheBytes
	}
	return &Cache{limit: limit, items: map[any]*list.Element{}, order: list.New(), busy: make(chan struct{}, 2)}
}

func (c *Cache) get(key any) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cacheItem).value, true
}

func (c *Cache) put(key, value any, cost int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[key]; ok || cost > c.limit {
		return
	}
	c.items[key] = c.order.PushFront(&cacheItem{key, value, cost})
	for c.used += cost; c.used > c.limit; {
		oldest := c.order.Back()
		item := c.order.Remove(oldest).(*cacheItem)
		delete(c.items, item.key)
		c.used -= item.cost
	}
}

// A fileID names the content of a file that is not written any more. The change
// time is in it because an inode's number is used again, and the size and
// modification time of a published file may well be those of another.
type fileID struct {
	dev, ino       uint64
	size           int64
	changed, wrote syscall.Timespec
}

func idOf(info os.FileInfo) (fileID, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, fmt.Errorf("identify file %q: the file system gives no inode", info.Name())
	}
	return fileID{uint64(st.Dev), st.Ino, st.Size, st.Ctim, st.Mtim}, nil
}

// sum returns a name for the content of f: a hash of it, or for a very large
// file what identifies it on this machine.
func (c *Cache) sum(f *os.File, info os.FileInfo) (string, error) {
	id, err := idOf(info)
	if err != nil {
		return "", err
	}
	if id.size > maxSummed {
		return fmt.Sprintf("i%x-%x-%x.%x", id.ino, id.size, id.changed.Sec, id.changed.Nsec), nil
	}
	if v, ok := c.get(id); ok {
		return v.(string), nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, id.size)); err != nil {
		return "", fmt.Errorf("hash file: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil)[:16])
	c.put(id, sum, sumCost)
	return sum, nil
}

// weakTag is the ETag of a file that may be written while it is read.
func weakTag(info os.FileInfo) string {
	id, err := idOf(info)
	if err != nil {
		return fmt.Sprintf(`W/"%x-%x"`, info.Size(), info.ModTime().UnixNano())
	}
	return fmt.Sprintf(`W/"%x-%x-%x.%x"`, id.ino, id.size, id.changed.Sec, id.changed.Nsec)
}

type bodyKey struct {
	sum string
	enc encoding
}

// compressed returns the file in the encoding the client likes best of those
// that make it smaller, or nothing: then it is sent as it is.
func (c *Cache) compressed(r *http.Request, f *os.File, info os.FileInfo, sum string) ([]byte, encoding) {
	enc := accepted(r.Header.Get("Accept-Encoding"))
	if enc == "" || info.Size() > maxCompressed || r.Header.Get("Range") != "" || r.Header.Get("If-Match") != "" {
		return nil, "" // parts, and what must match, are of the file itself
	}
	key := bodyKey{sum, enc}
	if v, ok := c.get(key); ok {
		return v.([]byte), enc
	}
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	default:
		return nil, "" // busy with others: nobody waits for a smaller page
	}
	plain, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return nil, "" // the same error is told when the file is sent
	}
	body, err := compress(enc, plain)
	if err != nil || len(body) >= len(plain) {
		body = nil // remembered: not worth trying again
	}
	c.put(key, body, int64(len(body))+sumCost)
	return body, enc
}

func serveBytes(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body))) // ServeContent leaves it out of what is encoded
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
