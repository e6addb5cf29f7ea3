package datasync

import (
	"context"
	"errors"
	"hash/fnv"
	"math/bits"
	"strings"
	"time"

	"popup/internal/git"
	"popup/internal/wire"
)

// readsPerSecond is how often a whole fleet may ask one repository: large hosts
// ask for no more, and answer 429 to those who come more often.
const readsPerSecond = 15

// share is the time between two reads of one instance when all of a fleet come
// in turn, in whole seconds.
func share(fleet int) time.Duration {
	fleet = min(max(fleet, 1), wire.MaxFleet)
	return time.Duration((fleet+readsPerSecond-1)/readsPerSecond) * time.Second
}

// spread is a moment within d that only depends on the instance. Where instances
// are numbered (fair-1, fair-2 …) they come at even distances, as the multiples of
// the golden ratio do on a circle; else wherever the hash of their id falls.
func spread(instance string, d time.Duration) time.Duration {
	rest, number := splitNumber(instance)
	h := fnv.New64a()
	h.Write([]byte(rest)) // never fails
	at, _ := bits.Mul64(mix(h.Sum64())+number*0x9e3779b97f4a7c15, uint64(d))
	return time.Duration(at)
}

// splitNumber takes the last number out of an id.
func splitNumber(id string) (rest string, number uint64) {
	const digits = "0123456789"
	end := strings.LastIndexAny(id, digits) + 1
	start := end
	for start > 0 && strings.IndexByte(digits, id[start-1]) >= 0 {
		start--
	}
	for _, digit := range []byte(id[start:end]) {
		number = number*10 + uint64(digit-'0') // what overflows is a hash as good as any
	}
	return id[:start] + " " + id[end:], number
}

// mix makes each bit depend on all others: fnv's upper ones hardly depend on the
// last letters.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// A Backoff is how long to wait before a try that follows failed ones: ever
// longer, and each instance of a fleet for a time of its own.
type Backoff struct {
	Instance string        // what the spread is made of
	Fleet    int           // how many instances there are alike, so that together they ask no more than a host can bear; 0: one
	First    time.Duration // the window of the first wait; it doubles with each; 0: 30 s
	Least    time.Duration // what no wait is shorter than; 0: a minute
	Most     time.Duration // what no wait is longer than, unless the other side asked for that; 0: an hour
}

// Wait is how long to wait after tries that failed, the last of them with err. The
// same numbers give the same wait.
func (b Backoff) Wait(failed int, err error) time.Duration {
	window := orElse(b.First, 30*time.Second) << min(max(failed-1, 0), 20)
	window = min(window, orElse(b.Most, time.Hour)-b.least())
	window = max(window, share(b.Fleet)) // a fleet that was told the same moment does not come back as one
	return max(b.least(), retryAfter(err)) + spread(b.Instance+"/"+string(rune('a'+failed%26)), window)
}

// next is when to try again after tries that failed, the last of them with err;
// zero: when the schedule says so, which is at planned. What may pass by itself is
// tried sooner, and a host that asked for peace has it.
func (b Backoff) next(now, planned time.Time, failed int, err error) time.Time {
	at := now.Add(b.Wait(failed, err))
	sooner := Transient(err) && at.Before(planned)
	if sooner || planned.Sub(now) < retryAfter(err) {
		return at
	}
	return time.Time{}
}

func (b Backoff) least() time.Duration {
	return max(orElse(b.Least, minPeriod), share(b.Fleet))
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// retryAfter is how long the other side asked to be left alone; 0: it did not.
func retryAfter(err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		return asked.RetryAfter()
	}
	return 0
}

// Transient says whether what failed with err may go well the next time, though
// nobody changes anything. An error of a source's own says so with a method
// Transient() bool.
func Transient(err error) bool {
	var gate *GateError
	var known *git.Error
	var says interface{ Transient() bool }
	switch {
	case errors.As(err, &gate):
		return false
	case errors.As(err, &says):
		return says.Transient()
	case errors.As(err, &known):
		return known.Retry
	}
	return errors.Is(err, ErrMoved) || isDiskFull(err)
}

// Follow calls try, which stages and publishes, whenever the Config's Schedule says
// so, and after one that failed for a while sooner. Tries never overlap. It returns
// ctx's error, or at once where nothing is scheduled.
func (s *Syncer) Follow(ctx context.Context, try func(context.Context) error) error {
	return follow(ctx, s.config.Schedule, s.config.Schedule.backoff, s.Plan, try)
}

// Plan tells Status when the source is asked next; the zero time: when the
// schedule says so.
func (s *Syncer) Plan(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned = at
}

// follow calls try whenever schedule says so, and after one that failed for a
// while sooner, until ctx ends. Tries never overlap. plan is told when the next
// try is; the zero time: when the schedule says so.
func follow(ctx context.Context, schedule Schedule, backoff Backoff, plan func(time.Time), try func(context.Context) error) error {
	var at time.Time
	for failed := 0; ; {
		plan(at)
		var err error
		if at.IsZero() {
			err = schedule.await(ctx)
		} else {
			err = pause(ctx, time.Until(at))
		}
		if err != nil {
			return err
		}
		if err = try(ctx); ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			failed, at = 0, time.Time{}
			continue
		}
		failed++
		now := time.Now()
		at = backoff.next(now, schedule.Next(now), failed, err)
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
