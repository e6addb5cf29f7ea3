package datasync

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"popup/internal/tree"
)

// An s3Address is what of a bucket is read: the objects below prefix, or, where
// pattern is not empty, the newest archive whose key it matches.
type s3Address struct {
	bucket  string
	prefix  string // what is listed
	pattern string // of whole keys
}

var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

const s3Help = "write s3://bucket/folder/ for the objects below it, or s3://bucket/folder/*.tar.zst for the newest of such archives"

// archiveNames are the endings of the archives that are read.
var archiveNames = []string{".tar.zst", ".tar.gz", ".tgz", ".tar", ".zip"}

func isArchiveName(name string) bool {
	for _, end := range archiveNames {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// parseS3Address reads s3://bucket/key. Keys are written as they are: a % is a %.
func parseS3Address(text string) (s3Address, error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		return s3Address{}, errors.New("that is not the address of a bucket; " + s3Help)
	case strings.Contains(bucket, "@"):
		return s3Address{}, errors.New("the bucket's address carries a key or a password, which everybody who reads it would have; use a credentials file")
	case !bucketName.MatchString(bucket) || strings.Contains(bucket, ".."):
		return s3Address{}, errors.New("the address names no bucket; " + s3Help)
	case len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return s3Address{}, errors.New("the address holds a key that no object has; " + s3Help)
	case key == "" || strings.HasSuffix(key, "/"):
		if strings.ContainsAny(key, `*?[\`) {
			return s3Address{}, errors.New("the address has a pattern in a folder; a pattern is for the last part, and picks archives")
		}
		return s3Address{bucket: bucket, prefix: key}, nil
	}
	return archiveAddress(bucket, key)
}

// archiveAddress reads a key that names an archive, or several.
func archiveAddress(bucket, key string) (s3Address, error) {
	a := s3Address{bucket: bucket, prefix: key, pattern: key}
	if i := strings.IndexAny(key, `*?[\`); i >= 0 {
		a.prefix = key[:i]
		if strings.Contains(key[i:], "/") {
			return a, errors.New("the address has a pattern in a folder; a pattern is for the last part, and picks archives")
		}
		if _, err := path.Match(key, ""); err != nil {
			return a, fmt.Errorf("%s is not a pattern: %w", strconv.Quote(key), err)
		}
		return a, nil
	}
	if !isArchiveName(key) {
		return a, fmt.Errorf("%s is neither a folder nor an archive; %s", strconv.Quote(key), s3Help)
	}
	return a, nil
}

// matches says whether a key is one of the archives.
func (a s3Address) matches(key string) bool {
	ok, err := path.Match(a.pattern, key)
	return err == nil && ok && isArchiveName(key)
}

func (a s3Address) String() string {
	if a.pattern != "" {
		return "s3://" + a.bucket + "/" + a.pattern
	}
	return "s3://" + a.bucket + "/" + a.prefix
}

// maxKey is the longest key a bucket takes, in bytes.
const maxKey = 1024

// fileName is the name that the object key has in the tree; empty: it is the mark of
// a folder, which is not content. Two keys never have the same name.
func (a s3Address) fileName(key string, size int64) (string, error) {
	name, ok := strings.CutPrefix(key, a.prefix)
	switch {
	case !ok:
		return "", &tree.EntryError{Name: key, Why: "was not asked for; the server does not keep to S3's protocol"}
	case (name == "" || strings.HasSuffix(name, "/")) && size == 0:
		return "", nil
	case name == "" || strings.HasSuffix(name, "/"):
		return "", &tree.EntryError{Name: key, Why: "has the name of a folder, and content; rename it"}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." {
			return "", &tree.EntryError{Name: key, Why: "has a part that is no name of a file or folder; rename it"}
		}
	}
	return tree.Clean(name)
}
