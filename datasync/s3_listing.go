package datasync

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"popup/internal/git"
	"popup/internal/tree"
)

// An s3Version is what tells two versions of an object apart.
type s3Version struct {
	key  string
	etag string // as the server writes it, in quotes; where it has none, when it was written
	size int64
}

// An s3Object is an object as it is listed.
type s3Object struct {
	s3Version
	modified time.Time
}

// An s3Listing is what makes up one revision: the objects of a tree, in the order
// of their keys, or one archive.
type s3Listing struct {
	rev     Revision
	objects []s3Object
}

func newS3Listing(objects []s3Object) s3Listing {
	slices.SortFunc(objects, func(a, b s3Object) int { return cmp.Compare(a.key, b.key) })
	sum := sha256.New()
	for _, o := range objects {
		fmt.Fprintf(sum, "%q %q %d\n", o.key, o.etag, o.size) // a hash takes everything
	}
	return s3Listing{Revision("s3-" + hex.EncodeToString(sum.Sum(nil)[:20])), objects}
}

// list asks what is there now: a request for every thousand objects.
func (s *s3Source) list(ctx context.Context, opts ...func(*s3.Options)) (s3Listing, error) {
	var objects []s3Object
	in := &s3.ListObjectsV2Input{Bucket: aws.String(s.address.bucket), Prefix: aws.String(s.address.prefix), EncodingType: types.EncodingTypeUrl}
	if s.address.pattern != "" {
		in.Delimiter = aws.String("/")
	}
	for bytes := int64(0); ; {
		page, err := s.api.ListObjectsV2(ctx, in, opts...)
		if err != nil {
			return s3Listing{}, s3Fault(err)
		}
		for _, c := range page.Contents {
			o, err := s3ObjectOf(c, page.EncodingType)
			if err != nil {
				return s3Listing{}, err
			}
			if s.address.pattern != "" {
				objects = s.address.newest(objects, o)
				continue
			}
			objects = append(objects, o)
			if bytes += o.size; bytes > s.limits.Bytes {
				return s3Listing{}, &tree.LimitError{What: "bytes", Limit: s.limits.Bytes}
			}
		}
		if len(objects) > s.limits.Files {
			return s3Listing{}, &tree.LimitError{What: "entries", Limit: int64(s.limits.Files)}
		}
		if !aws.ToBool(page.IsTruncated) {
			break
		}
		if in.ContinuationToken = page.NextContinuationToken; aws.ToString(in.ContinuationToken) == "" {
			return s3Listing{}, &git.Error{Class: git.Other, Why: "the server does not list more than a thousand objects (it knows only the first version of listing)",
				Hint: "publish an archive instead, and name that"}
		}
	}
	if len(objects) == 0 {
		return s3Listing{}, s.nothing()
	}
	return newS3Listing(objects), nil
}

func (s *s3Source) nothing() error {
	e := &git.Error{Class: classEmpty, Why: "there is no object below that address", Hint: "upload some, or check the address", Retry: true}
	if s.address.pattern != "" {
		e.Why = "there is no such archive"
		e.Hint = "upload one that ends in " + strings.Join(archiveNames, ", ") + ", or check the address"
	}
	return e
}

// newest keeps the one archive that was written last; of two, that of the last key.
func (a s3Address) newest(have []s3Object, o s3Object) []s3Object {
	if !a.matches(o.key) {
		return have
	}
	if len(have) == 1 && cmp.Or(have[0].modified.Compare(o.modified), strings.Compare(have[0].key, o.key)) >= 0 {
		return have
	}
	return []s3Object{o}
}

func s3ObjectOf(c types.Object, encoding types.EncodingType) (s3Object, error) {
	o := s3Object{s3Version{aws.ToString(c.Key), aws.ToString(c.ETag), aws.ToInt64(c.Size)}, aws.ToTime(c.LastModified)}
	if encoding == types.EncodingTypeUrl {
		key, err := url.QueryUnescape(o.key)
		if err != nil {
			return o, &tree.EntryError{Name: o.key, Why: "is no key; the server does not keep to S3's protocol"}
		}
		o.key = key
	}
	if o.etag == "" {
		o.etag = o.modified.UTC().Format(time.RFC3339Nano)
	}
	if o.size < 0 {
		return o, &tree.EntryError{Name: o.key, Why: "has a negative size; the server does not keep to S3's protocol"}
	}
	return o, nil
}
