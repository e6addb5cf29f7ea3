package datasync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"popup/internal/meter"
	"popup/internal/tree"
	"popup/internal/wire"
)

// An s3Source is the objects below a prefix of a bucket, or the newest of its
// archives. A revision is a hash of keys, ETags and sizes.
type s3Source struct {
	address s3Address
	limits  tree.Limits
	guard   *httpGuard
	api     s3API

	mu    sync.Mutex
	last  s3Listing             // what Head saw
	known map[s3Version]tree.ID // what was fetched last, and the ids it had
}

func newS3(spec wire.Source, opts SourceOptions, limits tree.Limits) (Source, error) {
	address, err := parseS3Address(spec.URL)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	s := &s3Source{address: address, limits: limits.OrDefault(), guard: newHTTPGuard(opts)}
	keys, err := newS3Keys(spec.CredentialsFile, s.guard)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	if s.api, err = newS3API(spec, s.guard, keys); err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	return s, nil
}

func (s *s3Source) bounds() tree.Limits { return s.limits }

// unproven: no id of a revision follows from what it holds.
func (s *s3Source) unproven() {}

func (s *s3Source) String() string { return s.address.String() }

// Cost is what was asked and transferred so far.
func (s *s3Source) Cost() meter.Cost { return s.guard.meter.Read() }

// Head lists what is there, by one request for every thousand objects.
func (s *s3Source) Head(ctx context.Context) (Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	listing, err := s.list(ctx, once)
	if err != nil {
		return "", explainHTTP(ctx, "look at", s.String(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = listing
	return listing.rev, nil
}

// Fetch writes the objects of rev. One that did not change since it was fetched
// last is taken from what is here; each of the others is asked for as it was listed.
func (s *s3Source) Fetch(ctx context.Context, rev, _ Revision, w *tree.Writer) error {
	listing, err := s.listed(ctx, rev)
	switch {
	case err != nil:
	case s.address.pattern != "":
		err = s.unpack(ctx, listing.objects[0], w)
	default:
		err = s.write(ctx, listing.objects, w)
	}
	return explainHTTP(ctx, "fetch "+rev.Short()+" of", s.String(), err)
}

// listed is what rev is made of, which Head mostly just saw.
func (s *s3Source) listed(ctx context.Context, rev Revision) (s3Listing, error) {
	s.mu.Lock()
	listing := s.last
	s.mu.Unlock()
	if listing.rev == rev {
		return listing, nil
	}
	listing, err := s.list(ctx)
	if err == nil && listing.rev != rev {
		err = ErrMoved
	}
	return listing, err
}

func (s *s3Source) unpack(ctx context.Context, o s3Object, w *tree.Writer) (err error) {
	body, err := s.open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return readArchive(ctx, body, w, s.limits)
}

// open asks for one object, as it was listed.
func (s *s3Source) open(ctx context.Context, o s3Object) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: aws.String(s.address.bucket), Key: aws.String(o.key)}
	tagged := len(o.etag) > 0 && o.etag[0] == '"'
	if tagged {
		in.IfMatch = aws.String(o.etag)
	}
	out, err := s.api.GetObject(ctx, in)
	switch {
	case gone(err):
		return nil, ErrMoved
	case err != nil:
		return nil, s3Fault(err)
	}
	// Some gateways do not know If-Match.
	if got := aws.ToString(out.ETag); tagged && got != "" && got != o.etag {
		return nil, errors.Join(ErrMoved, out.Body.Close())
	}
	return out.Body, nil
}

// write makes the tree of objects, and remembers the ids of what it wrote.
func (s *s3Source) write(ctx context.Context, objects []s3Object, w *tree.Writer) error {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	written := make(map[s3Version]tree.ID, len(objects))
	var wanted []s3Wanted
	for _, o := range objects {
		name, err := s.address.fileName(o.key, o.size)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		id, here := known[o.s3Version]
		if here {
			if here, err = w.Reuse(name, tree.Plain, id); err != nil {
				return err
			}
		}
		if here {
			written[o.s3Version] = id
			continue
		}
		wanted = append(wanted, s3Wanted{o, name})
	}
	if err := s.load(ctx, wanted, w, written); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = written
	return nil
}
