package client

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"

	"popup/internal/atomicfile"
	"popup/web/api"
)

// Archives are the verified backups of an event's instances.
func (c *Client) Archives(ctx context.Context, id string) (api.Archives, error) {
	return get[api.Archives](ctx, c, event(id)+"/archives", nil)
}

// A Download is an event's archives, in one file.
type Download struct {
	File     string        `json:"file"`
	Size     int64         `json:"size"` // bytes
	Archives []api.Archive `json:"archives"`
}

// Download puts all that is kept of an event under a name; empty: the one that the
// console gives it, here. What was there is replaced only when all of it has come and
// is what the console verified.
func (c *Client) Download(ctx context.Context, id, name string) (Download, error) {
	listed, err := c.Archives(ctx, id)
	if err != nil {
		return Download{}, err
	}
	d := Download{File: name, Archives: listed.Archives}
	err = c.open(ctx, asking{method: http.MethodGet, path: event(id) + "/archives.zip", again: true}, func(resp *http.Response) error {
		if d.File == "" {
			d.File = fileOf(resp)
		}
		return atomicfile.WriteFile(d.File, 0o600, func(f *os.File) (err error) {
			if d.Size, err = io.Copy(f, resp.Body); err != nil {
				return err
			}
			return verify(f, d.Size, listed.Archives)
		})
	})
	return d, err
}

// fileOf is what a file is to be called, without any folder that its server names.
func fileOf(resp *http.Response) string {
	_, given, _ := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	name := filepath.Base(given["filename"])
	if !filepath.IsLocal(name) || name[0] == '.' {
		return "archives.zip"
	}
	return name
}

// verify says whether a zip holds all archives, as they are listed. Those that came
// since are held against their own checksums.
func verify(f io.ReaderAt, size int64, listed []api.Archive) error {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return fmt.Errorf("it is not whole: %w", err)
	}
	sums := map[string]string{}
	for _, entry := range z.File {
		if sums[entry.Name], err = sumOf(entry); err != nil {
			return fmt.Errorf("%s in it is damaged: %w", entry.Name, err)
		}
	}
	for _, a := range listed {
		switch sum, there := sums[a.Instance+"/"+a.Name]; {
		case !there:
			return fmt.Errorf("it lacks %s of %s; ask for it again", a.Name, a.Instance)
		case sum != a.SHA256:
			return fmt.Errorf("%s of %s is not what the console verified; ask for it again", a.Name, a.Instance)
		}
	}
	return nil
}

// sumOf reads an entry to its end, where its own checksum is looked at.
func sumOf(entry *zip.File) (string, error) {
	r, err := entry.Open()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
