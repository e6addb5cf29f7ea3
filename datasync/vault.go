package datasync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"popup/internal/archive"
	"popup/internal/git"
	"popup/internal/wire"
)

// A bucketVault keeps archives as objects below a prefix. An object is there whole or
// not at all: that is what buckets promise.
type bucketVault struct {
	address s3Address
	api     s3API
	keys    s3Keys
}

// OpenVault opens the vault s3://bucket/prefix/ that spec names. Nothing is asked of it
// yet. What its methods then fail with is a *git.Error, whose Retry tells what may pass
// by itself.
func OpenVault(spec wire.State, opts SourceOptions) (archive.Vault, error) {
	at, err := parseS3Address(strings.TrimSuffix(spec.Vault, "/") + "/")
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	source := wire.Source{Endpoint: spec.Endpoint, Region: spec.Region, CredentialsFile: spec.CredentialsFile}
	guard := newHTTPGuard(opts)
	keys, err := newS3Keys(spec.CredentialsFile, guard)
	if err != nil {
		return nil, fmt.Errorf("open vault %s: %w", at, err)
	}
	api, err := newS3API(source, guard, keys)
	if err != nil {
		return nil, fmt.Errorf("open vault %s: %w", at, err)
	}
	return &bucketVault{address: at, api: api, keys: keys}, nil
}

func (v *bucketVault) key(name string) *string { return aws.String(v.address.prefix + name) }

// explain says what went wrong, and what to try.
func (v *bucketVault) explain(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	err = explainHTTP(ctx, op, v.address.String(), s3Fault(err))
	var known *git.Error
	if !errors.As(err, &known) {
		return err
	}
	switch {
	case known.Class == classNotFound:
		known.Hint = "make the bucket, or check its name and the endpoint"
	case known.Class != git.Credentials || known.Retry:
	case !v.keys.signsIn():
		known.Why = "there is nothing to sign in with"
		known.Hint = "name a credentials file, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
	case known.Why == refusedKeys.Why:
		known.Hint = "renew " + v.keys.String()
	default:
		known.Why = "access denied: the bucket is somebody else's, or the key may not do that"
		known.Hint = fmt.Sprintf("allow the key in %s s3:ListBucket on bucket %s, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload below %s, or name a bucket of your own",
			v.keys, v.address.bucket, v.address)
	}
	return err
}

func (v *bucketVault) Put(ctx context.Context, name string, r io.Reader) error {
	err := cmp.Or(archive.CheckName(name), ctx.Err())
	if err == nil {
		err = v.put(ctx, name, archive.Within(ctx, r))
	}
	if err != nil {
		return fmt.Errorf("put backup %q: %w", name, err)
	}
	return nil
}

func (v *bucketVault) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := cmp.Or(archive.CheckName(name), ctx.Err()); err != nil {
		return nil, fmt.Errorf("get backup %q: %w", name, err)
	}
	out, err := v.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &v.address.bucket, Key: v.key(name)})
	if gone(err) {
		err = archive.ErrNotFound
	} else {
		err = v.explain(ctx, "read", err)
	}
	if err != nil {
		return nil, fmt.Errorf("get backup %q: %w", name, err)
	}
	return &vaultBody{out.Body, func(err error) error { return v.explain(ctx, "read", err) }}, nil
}

// A vaultBody says what went wrong while it was read, without an address.
type vaultBody struct {
	io.ReadCloser
	explain func(error) error
}

func (b *vaultBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.explain(err)
	}
	return n, err
}

func (v *bucketVault) List(ctx context.Context) ([]archive.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var items []archive.Item
	in := &s3.ListObjectsV2Input{Bucket: &v.address.bucket, Prefix: &v.address.prefix, Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl}
	for {
		page, err := v.api.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, v.explain(ctx, "list backups in", err)
		}
		for _, c := range page.Contents {
			o, err := s3ObjectOf(c, page.EncodingType)
			if err != nil {
				return nil, v.explain(ctx, "list backups in", err)
			}
			if name := strings.TrimPrefix(o.key, v.address.prefix); archive.CheckName(name) == nil {
				items = append(items, archive.Item{Name: name, Size: o.size, Modified: o.modified})
			}
		}
		if in.ContinuationToken = page.NextContinuationToken; !aws.ToBool(page.IsTruncated) || aws.ToString(in.ContinuationToken) == "" {
			slices.SortFunc(items, func(a, b archive.Item) int { return strings.Compare(a.Name, b.Name) })
			return items, nil
		}
	}
}

func (v *bucketVault) Delete(ctx context.Context, name string) error {
	err := cmp.Or(archive.CheckName(name), ctx.Err())
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		_, err = v.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &v.address.bucket, Key: v.key(name)})
		err = v.explain(ctx, "remove a backup of", err)
	}
	if err != nil {
		return fmt.Errorf("delete backup %q: %w", name, err)
	}
	return nil
}
