package ec2

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

const (
	answerTimeout = 30 * time.Second // of one answer
	callTimeout   = 2 * time.Minute  // of one action, with all that is asked again
	mostAttempts  = 8                // of one action
	longestPause  = 20               // times the first
)

// call has EC2 do something, and asks again where EC2 says so, or does not answer. The
// error is a *fault, or the end of ctx.
func call[I, O, X any](ctx context.Context, r *region, do func(context.Context, *I, ...func(*X)) (*O, error), in *I) (*O, error) {
	_, action, _ := strings.Cut(fmt.Sprintf("%T", in), ".")
	action = strings.TrimSuffix(action, "Input")
	within, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := r.keys.Retrieve(within); err != nil {
		return nil, r.fault(ctx, action, errors.Join(errNoKeys, err))
	}
	out, err := do(within, in)
	if err != nil {
		return nil, r.fault(ctx, action, err)
	}
	return out, nil
}

// patient is how the SDK asks again.
func patient(pause time.Duration) func(*retry.StandardOptions) {
	return func(o *retry.StandardOptions) {
		o.MaxAttempts = mostAttempts
		o.RateLimiter = ratelimit.None // a fleet's calls do not share one purse
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(pause, attempt), nil })
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(final)}, o.Retryables...)
	}
}

// final keeps the SDK from asking again what is refused: EC2 says of capacity that it is
// a fault of its own.
func final(err error) aws.Ternary {
	if l, ok := lessons[codeOf(err)]; ok && l.refused {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// backoff is how long to wait after so many times, at random, so that many who were
// turned away together do not come back together.
func backoff(pause time.Duration, times int) time.Duration {
	most := min(pause<<min(times, 10), pause*longestPause)
	return most/2 + rand.N(most/2+1)
}

// errUnsettled is of what did not become so in time.
var errUnsettled = errors.New("it did not become so in time")

// until asks until done says so, with pauses, for as long as most says.
func (c *Cloud) until(ctx context.Context, most time.Duration, done func() (bool, error)) error {
	deadline := time.Now().Add(most)
	for times := 0; ; times++ {
		if ok, err := done(); ok || err != nil {
			return err
		}
		pause := backoff(c.opts.Pause, times)
		if time.Now().Add(pause).After(deadline) {
			return errUnsettled
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// known asks again while EC2 does not know yet what it made itself.
func (c *Cloud) known(ctx context.Context, do func() error) error {
	var last error
	err := c.until(ctx, c.opts.Settle, func() (bool, error) {
		last = do()
		if code := codeOf(last); strings.HasSuffix(code, ".NotFound") && !lessons[code].refused {
			return false, nil
		}
		return true, last
	})
	if errors.Is(err, errUnsettled) {
		return last
	}
	return err
}

// pages asks for one page after the other.
func pages[T any](ask func(next *string) (page []T, more *string, err error)) (all []T, err error) {
	for next := (*string)(nil); ; {
		page, more, err := ask(next)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); aws.ToString(more) == "" {
			return all, nil
		}
		next = more
	}
}
