package datasync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// s3Parts is what sends an object in parts, of which nothing is seen before the last.
type s3Parts interface {
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
	ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error)
}

const (
	firstPart = 8 << 20 // bytes; the least a bucket takes of all but the last part are 5 MiB
	// partsAlike is how many parts are of one size before they grow by firstPart: a bucket
	// takes 10,000, and so many hold 430 GiB, the last of them 80 MiB each.
	partsAlike = 1000
	// partTimeout is for sending one part.
	partTimeout = 15 * time.Minute
	// forgotten is the age from which parts without an end were left by a crash. They
	// cost money, and no listing shows them.
	forgotten = 7 * 24 * time.Hour
)

// partSize is how large the part of a number is that begins with 1.
func partSize(number int32) int { return firstPart * (1 + int(number-1)/partsAlike) }

// put sends what fits one part as an object. One part is in memory at a time, so that it
// can be sent again.
func (v *bucketVault) put(ctx context.Context, name string, r io.Reader) error {
	part := make([]byte, partSize(1))
	n, err := io.ReadFull(r, part)
	switch {
	case err == nil:
		return v.putParts(ctx, name, part, r)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	_, err = v.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &v.address.bucket, Key: v.key(name), Body: bytes.NewReader(part[:n])})
	return v.explain(ctx, "write to", err)
}

func (v *bucketVault) putParts(ctx context.Context, name string, part []byte, r io.Reader) (err error) {
	v.abortForgotten(ctx)
	begun, err := v.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &v.address.bucket, Key: v.key(name)})
	if err != nil {
		return v.explain(ctx, "write to", err)
	}
	u := &upload{vault: v, key: v.key(name), id: begun.UploadId}
	defer func() {
		if err != nil {
			u.abort(ctx)
		}
	}()
	for {
		if err := u.send(ctx, part); err != nil {
			return v.explain(ctx, "write to", err)
		}
		part = part[:cap(part)]
		if next := partSize(u.number + 1); next > len(part) {
			part = make([]byte, next)
		}
		n, err := io.ReadFull(r, part)
		part = part[:n]
		switch {
		case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		case errors.Is(err, io.EOF):
			return v.explain(ctx, "write to", u.complete(ctx))
		default:
			return err
		}
	}
}

// An upload is an object that is sent in parts.
type upload struct {
	vault  *bucketVault
	key    *string
	id     *string
	number int32 // of the newest part
	parts  []types.CompletedPart
}

func (u *upload) send(ctx context.Context, part []byte) error {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	u.number++
	out, err := u.vault.api.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.vault.address.bucket, Key: u.key, UploadId: u.id, PartNumber: aws.Int32(u.number), Body: bytes.NewReader(part),
	})
	if err != nil {
		return err
	}
	u.parts = append(u.parts, types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(u.number)})
	return nil
}

func (u *upload) complete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	_, err := u.vault.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.vault.address.bucket, Key: u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
	return err
}

// abort gives back what was sent. What cannot be now is found by abortForgotten.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	_, _ = u.vault.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.vault.address.bucket, Key: u.key, UploadId: u.id})
}

// abortForgotten gives back what crashes left. It is no reason to put nothing when that
// is not allowed: the bucket's owner may have a rule of the bucket's for it.
func (v *bucketVault) abortForgotten(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	left, err := v.api.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &v.address.bucket, Prefix: &v.address.prefix})
	if err != nil {
		return
	}
	for _, l := range left.Uploads {
		if l.Initiated != nil && time.Since(*l.Initiated) > forgotten {
			(&upload{vault: v, key: l.Key, id: l.UploadId}).abort(ctx)
		}
	}
}
