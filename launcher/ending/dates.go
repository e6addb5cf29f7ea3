package ending

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// mostOrigins bounds how many hosts are asked at once.
	mostOrigins = 4
	// originTimeout bounds one question: the answer is a handful of headers.
	originTimeout = 5 * time.Second
)

// A reading is how far this machine's clock is ahead of a host's.
type reading struct {
	host  string
	ahead time.Duration
	err   error
}

// confirmByDates compares the clock with the Date of two hosts. One host alone
// proves nothing: either of the two may be wrong.
func (c SystemClock) confirmByDates(ctx context.Context) (Confirmation, error) {
	origins := distinctOrigins(c.Origins)
	if len(origins) < 2 {
		return Confirmation{}, errors.New("the clock is not synchronised by NTP, and there are no two hosts whose dates it could be compared with")
	}
	var told, right []reading
	var failures []error
	for _, r := range c.readAll(ctx, origins) {
		switch {
		case r.err != nil:
			failures = append(failures, r.err)
		case r.ahead.Abs() <= tolerance:
			right = append(right, r)
			told = append(told, r)
		default:
			told = append(told, r)
		}
	}
	switch {
	case len(right) >= 2:
		return Confirmation{OK: true, By: clocksOf(right), Offset: right[0].ahead}, nil
	case len(told) < 2:
		return Confirmation{}, fmt.Errorf("the clock is not synchronised by NTP, and two hosts with a date could not be reached: %w", errors.Join(failures...))
	case (told[0].ahead - told[1].ahead).Abs() > tolerance:
		return Confirmation{}, fmt.Errorf("the clock is not synchronised by NTP, and %s do not agree with each other", clocksOf(told))
	default:
		return Confirmation{By: clocksOf(told), Offset: told[0].ahead}, nil
	}
}

// distinctOrigins are the roots of the hosts of addresses that speak HTTP, each
// host once.
func distinctOrigins(addresses []string) []*url.URL {
	var origins []*url.URL
	seen := map[string]bool{}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			continue
		}
		host := strings.ToLower(u.Hostname())
		if seen[host] || len(origins) == mostOrigins {
			continue
		}
		seen[host] = true
		origins = append(origins, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"})
	}
	return origins
}

func (c SystemClock) readAll(ctx context.Context, origins []*url.URL) []reading {
	readings := make([]reading, len(origins))
	var wg sync.WaitGroup
	for i, origin := range origins {
		wg.Go(func() {
			ahead, err := c.read(ctx, origin)
			readings[i] = reading{origin.Hostname(), ahead, err}
		})
	}
	wg.Wait()
	return readings
}

func (c SystemClock) read(ctx context.Context, origin *url.URL) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, originTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, origin.String(), nil)
	if err != nil {
		return 0, fmt.Errorf("ask %s for its date: %w", origin.Host, err)
	}
	req.Header.Set("Cache-Control", "no-cache")
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	asked := c.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, readError(origin.Host, err)
	}
	defer resp.Body.Close() //nolint:errcheck // a HEAD has no body
	date, err := dateOf(resp.Header)
	if err != nil {
		return 0, fmt.Errorf("ask %s for its date: %w", origin.Host, err)
	}
	return asked.Add(time.Since(asked) / 2).Sub(date), nil
}

// dateOf is when the answer left its host's hands: a cache adds its age.
func dateOf(header http.Header) (time.Time, error) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}, errors.New("its answer has no date")
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		date = date.Add(time.Duration(age) * time.Second)
	}
	return date, nil
}

// readError says so when a certificate is refused for the time it is valid in:
// that is what a clock that is wrong by months looks like.
func readError(host string, err error) error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fmt.Errorf("ask %s for its date: its certificate is not valid by this machine's clock, which may be wrong", host)
	}
	return fmt.Errorf("ask %s for its date: %w", host, err)
}

func clocksOf(readings []reading) string {
	return "the clocks of " + readings[0].host + " and " + readings[1].host
}
