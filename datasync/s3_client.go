package datasync

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"popup/internal/git"
	"popup/internal/wire"
)

// An s3API is what of the SDK's client is used.
type s3API interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	s3Parts
}

const defaultRegion = "us-east-1"

// getAttempts is how often one object is asked for in a fetch.
const getAttempts = 3

func newS3API(spec wire.Source, guard *httpGuard, keys s3Keys) (s3API, error) {
	endpoint := cmp.Or(spec.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	opts := s3.Options{
		Region:      cmp.Or(spec.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), defaultRegion),
		Credentials: aws.AnonymousCredentials{},
		HTTPClient: &http.Client{Transport: s3Transport{guard},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		// Gateways other than Amazon's do not know trailing checksums.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		RetryMaxAttempts:           getAttempts,
		HTTPSignerV4:               freshSigner{},
	}
	opts.DisableS3ExpressSessionAuth = aws.Bool(true)
	if endpoint != "" {
		if err := checkEndpoint(endpoint); err != nil {
			return nil, err
		}
		opts.BaseEndpoint, opts.UsePathStyle = aws.String(endpoint), true
	}
	if keys.signsIn() || keys.role != nil {
		opts.Credentials = keys
	}
	return s3.New(opts), nil
}

// longestAnswer is more than the names of a thousand objects take, or the words of an error.
const longestAnswer = 16 << 20

var errNoEnd = errors.New("the server's answer has no end")

// An s3Transport bounds what the SDK reads to its end, which are all answers but the
// content of objects.
type s3Transport struct{ guard *httpGuard }

func (t s3Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.guard.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if req.Method != http.MethodGet || req.URL.Query().Has("list-type") || res.StatusCode >= http.StatusMultipleChoices {
		res.Body = &boundedBody{res.Body, longestAnswer}
	}
	return res, nil
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errNoEnd
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// A freshSigner derives its key for each request. The SDK's own keeps one by the
// name of the access key alone, and goes on with the old secret when that is rotated.
type freshSigner struct{}

func (freshSigner) SignHTTP(ctx context.Context, keys aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time,
	opts ...func(*v4.SignerOptions)) error {
	if !keys.HasKeys() { // of a machine without a role: everybody may ask so
		return nil
	}
	return v4.NewSigner().SignHTTP(ctx, keys, r, payloadHash, service, region, at, opts...)
}

// checkEndpoint does not repeat what it refuses: it may hold a password.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery+u.Fragment != "":
		return errors.New("the endpoint is not the address of a server; write one like https://s3.example.org")
	case u.User != nil:
		return errors.New("the endpoint carries a user name or a password, which everybody who reads it would have; use a credentials file")
	}
	return nil
}

// once keeps the SDK from asking again: whoever polls has a schedule for that.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// s3Fault says what the answers of S3 mean. Other errors stay as they are.
func s3Fault(err error) error {
	var answer *smithyhttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) || answer.Response == nil || answer.HTTPStatusCode() == 0 {
		return err
	}
	code, said, status := "", "", answer.HTTPStatusCode()
	if errors.As(err, &api) {
		code, said = api.ErrorCode(), api.ErrorMessage()
	}
	if status == http.StatusOK {
		return notS3(err)
	}
	after := askedToWait(answer.Response.Header, time.Now())
	if e, ok := s3Faults[code]; ok {
		e.Err, e.After = err, after
		if e.Class == "" {
			e.Class = git.Other
		}
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); e.Why == wrongRegion && region != "" {
			e.Hint = "set region to " + strconv.Quote(region)
		}
		return &e
	}
	e := classifyStatus(&statusError{status, after})
	if e.Err = err; said != "" {
		e.Why = fmt.Sprintf("the server answered %d %s: %s", status, code, said)
	}
	return &e
}

// notS3 explains an answer that cannot be read, unless the network broke it off.
func notS3(err error) error {
	var broken *smithy.DeserializationError
	var syntax *xml.SyntaxError
	if !errors.As(err, &broken) && !errors.As(err, &syntax) && !errors.Is(err, errNoEnd) || classifyNetwork(err).Class != git.Other {
		return err
	}
	return &git.Error{Class: git.Other, Err: err, Why: "what answers there is no S3 server", Hint: "check the endpoint"}
}

// gone says whether err is that an object is no longer there, as it was listed.
func gone(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains([]string{"NoSuchKey", "PreconditionFailed"}, api.ErrorCode())
}

const wrongRegion = "the bucket is in another region"

var (
	refusedKeys = git.Error{Class: git.Credentials, Why: "the access key is refused", Hint: "renew what is in the credentials file"}
	comeLess    = git.Error{Class: git.RateLimited, Why: "the server asks us to come less often", Hint: "ask less often", Retry: true}
	otherRegion = git.Error{Why: wrongRegion, Hint: "set the region, and the endpoint where it is not Amazon's"}
	wrongClock  = git.Error{Class: git.Clock, Why: "the server's clock and ours are more than 15 minutes apart",
		Hint: "set this machine's clock, by NTP", Retry: true}
)

// s3Faults are the error codes of S3 that have a sentence of their own.
var s3Faults = map[string]git.Error{
	"NoSuchBucket":      {Class: classNotFound, Why: "there is no such bucket", Hint: "check its name, and the endpoint"},
	"InvalidBucketName": {Class: classNotFound, Why: "the server takes no bucket of that name", Hint: "check its name"},
	"AccessDenied": {Class: git.Credentials, Why: "access denied",
		Hint: "allow s3:ListBucket on the bucket and s3:GetObject on its objects to the key in the credentials file, or to everybody"},
	"AllAccessDisabled":            {Class: git.Credentials, Why: "the bucket's owner turned off all access to it"},
	"InvalidAccessKeyId":           refusedKeys,
	"SignatureDoesNotMatch":        refusedKeys,
	"InvalidToken":                 refusedKeys,
	"ExpiredToken":                 refusedKeys,
	"RequestTimeTooSkewed":         wrongClock,
	"RequestExpired":               wrongClock,
	"SlowDown":                     comeLess,
	"ServiceUnavailable":           comeLess,
	"TooManyRequests":              comeLess,
	"ThrottlingException":          comeLess,
	"RequestLimitExceeded":         comeLess,
	"PermanentRedirect":            otherRegion,
	"TemporaryRedirect":            otherRegion,
	"AuthorizationHeaderMalformed": otherRegion,
	"InvalidObjectState":           {Class: git.Content, Why: "an object is in an archive class, from which it must be restored first"},
}
