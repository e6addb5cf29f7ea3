package datasync

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"popup/internal/git"
	"popup/internal/wire"
)

// A relayBucket is a bucket, or what is below a prefix of it. It is signed in to with
// what the environment holds.
type relayBucket struct {
	address s3Address
	api     s3API
}

func newRelayBucket(address string, opts SourceOptions) (relayStore, error) {
	if !strings.HasSuffix(address, "/") {
		address += "/"
	}
	at, err := parseS3Address(address)
	if err != nil {
		return nil, err
	}
	guard := newHTTPGuard(opts)
	keys, err := newS3Keys("", guard)
	if err != nil {
		return nil, err
	}
	api, err := newS3API(wire.Source{}, guard, keys)
	if err != nil {
		return nil, err
	}
	return &relayBucket{at, api}, nil
}

func (b *relayBucket) String() string { return b.address.String() }

func (b *relayBucket) key(name string) *string { return aws.String(b.address.prefix + name) }

// explain says what went wrong, and what a writer must be allowed.
func (b *relayBucket) explain(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	err = explainHTTP(ctx, op, b.String(), s3Fault(err))
	var known *git.Error
	if errors.As(err, &known) && known.Class == git.Credentials {
		known.Hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that is allowed s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
	}
	return err
}

func (b *relayBucket) Head(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.address.bucket, Key: b.key(relayHeadName)})
	if gone(err) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, b.explain(ctx, "read "+relayHeadName+" in", err)
	}
	text, err := io.ReadAll(io.LimitReader(out.Body, mostRelayHead+1))
	return text, b.explain(ctx, "read "+relayHeadName+" in", errors.Join(err, out.Body.Close()))
}

func (b *relayBucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	mediaType, caching := relayCaching(name)
	_, err := b.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.address.bucket, Key: b.key(name), Body: content,
		ContentType: &mediaType, CacheControl: &caching})
	return b.explain(ctx, "write "+name+" to", err)
}

func (b *relayBucket) List(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	files := map[string]int64{}
	in := &s3.ListObjectsV2Input{Bucket: &b.address.bucket, Prefix: &b.address.prefix, Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl}
	for {
		page, err := b.api.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, b.explain(ctx, "list", err)
		}
		for _, c := range page.Contents {
			o, err := s3ObjectOf(c, page.EncodingType)
			if err != nil {
				return nil, err
			}
			files[strings.TrimPrefix(o.key, b.address.prefix)] = o.size
		}
		if in.ContinuationToken = page.NextContinuationToken; !aws.ToBool(page.IsTruncated) || aws.ToString(in.ContinuationToken) == "" {
			return files, nil
		}
	}
}

func (b *relayBucket) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err := b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.address.bucket, Key: b.key(name)})
	return b.explain(ctx, "remove "+name+" of", err)
}
