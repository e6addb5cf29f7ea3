package datasync

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"popup/internal/git"
)

// Whatever a server does, what is served stays whole, the error is a sentence with a
// class, nothing is left behind, and the news comes once the server is well.
func TestTortureServerThatRefuses(t *testing.T) {
	asked := func(d time.Duration) func(error) string {
		return func(err error) string {
			var known *git.Error
			if errors.As(err, &known) && known.RetryAfter() == d {
				return ""
			}
			return fmt.Sprint("it was asked to wait for ", d)
		}
	}
	all := func(class git.Class) map[string]git.Class {
		return map[string]git.Class{"git": class, "https": class, "s3": class}
	}
	const page = "<!DOCTYPE html><title>Sign in to the hotel's network</title>"
	table := map[string]struct {
		lie   lie
		class map[string]git.Class // by kind; nil: any
		check func(error) string
	}{
		"401": {said(401, "who?"), all(git.Credentials), nil},
		"403": {said(403, "no"), all(git.Credentials), nil},
		"404": {said(404, "gone"), map[string]git.Class{"git": git.NotRepository, "https": classNotFound, "s3": classNotFound}, nil},
		"429": {said(429, "", "Retry-After", "77"), all(git.RateLimited), asked(77 * time.Second)},
		"500": {said(500, "oh"), all(git.Other), nil},
		"503": {said(503, "", "Retry-After", "7"), map[string]git.Class{"git": git.Other, "https": git.RateLimited, "s3": git.RateLimited}, asked(7 * time.Second)},

		"200 and nothing": {said(200, ""), nil, nil},
		"200 and a page":  {said(200, page, "Content-Type", "text/html"), nil, nil},
		"a page's ETag":   {said(200, page, "Content-Type", "text/html", "ETag", `"page"`), nil, nil},
		"204":             {said(204, ""), nil, nil},
		"206":             {said(206, "xx", "Content-Range", "bytes 0-1/2"), nil, nil},
		"304":             {said(304, ""), nil, nil},

		"to a file":  {said(302, "", "Location", "file:///etc/passwd"), all(git.Other), nil},
		"to gopher":  {said(301, "", "Location", "gopher://example.org/1/x"), all(git.Other), nil},
		"to nothing": {said(302, "", "Location", "http://[::1]:namedport/"), all(git.Other), nil},
		"in circles": {said(307, "", "Location", "SELF"), all(git.Other), nil},

		"no HTTP":         {raw("SSH-2.0-OpenSSH_9.2\r\n"), nil, nil},
		"a long header":   {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), nil, nil},
		"no end of lines": {raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 100_000)), nil, nil},
	}
	eachPrey(t, func(t *testing.T, p *prey, kind string) {
		for what, c := range table {
			for after := range 2 {
				what := fmt.Sprintf("%s after %d answers", what, after)
				err := p.faced(what, after, c.lie)
				if c.class == nil && err == nil {
					t.Logf("%s: it was taken", what)
				}
				var known *git.Error
				if c.class != nil && (!errors.As(err, &known) || known.Class != c.class[kind]) {
					t.Errorf("%s: %v is classed %q; want %s", what, err, errorKind(err), c.class[kind])
				}
				if c.check != nil && c.check(err) != "" {
					t.Errorf("%s: %s: %v", what, c.check(err), err)
				}
			}
		}
	})
}

func eachPrey(t *testing.T, do func(t *testing.T, p *prey, kind string)) {
	for kind := range preyKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			do(t, newPrey(t, kind, 10*time.Second), kind)
		})
	}
}

// Wherever an answer is broken off or stands still, and whatever length it says it has.
func TestTortureServerThatBreaksOff(t *testing.T) {
	eachPrey(t, func(t *testing.T, p *prey, kind string) {
		for name, place := range places {
			for after := range 2 {
				p.faced(fmt.Sprintf("cut off at %s after %d answers", name, after), after, cutAt(place))
			}
		}
		for range trials(t, 4) {
			at, after := rand.Float64(), rand.IntN(2)
			p.faced(fmt.Sprintf("cut off at %v after %d answers", at, after), after, cutAt(func(head, body int) int { return int(float64(head+body) * at) }))
		}
		for _, more := range []int{1, 1000, -1, -25, -1000} {
			for after := range 2 {
				p.faced(fmt.Sprintf("a length of %d more after %d answers", more, after), after, sized(more))
			}
		}
	})
}

// Wherever an answer stands still, it is given up, and said to be late.
func TestTortureServerThatStandsStill(t *testing.T) {
	for kind := range preyKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPrey(t, kind, 300*time.Millisecond)
			for name, place := range places {
				err := p.faced("still at "+name, 1, stallAt(place))
				if class := errorKind(err); class != string(git.Timeout) && err != nil {
					t.Errorf("still at %s: %v is classed %q", name, err, class)
				}
			}
		})
	}
}

// One bit that is another one is found, wherever it is: by ids, by checksums, or by
// what a listing said. What a bucket holds itself has nothing that must tell, and is
// left out: there, it is TLS that does.
func TestTortureServerThatFlipsBits(t *testing.T) {
	eachPrey(t, func(t *testing.T, p *prey, kind string) {
		flips := map[string]at{}
		for name, place := range places {
			flips[name] = place
		}
		for n := range trials(t, 10) {
			at := rand.Float64()
			flips[fmt.Sprintf("random %d, %v", n, at)] = func(head, body int) int { return int(float64(head+body) * at) }
			flips[fmt.Sprintf("random %d, %v of the head", n, at)] = func(head, body int) int { return int(float64(head) * at) }
		}
		for name, place := range flips {
			bit, after := rand.IntN(8), rand.IntN(2)
			lie := flipAt(bit, place)
			if kind == "s3" {
				lie = exceptBodies(place, lie)
			}
			err := p.faced(fmt.Sprintf("bit %d at %s after %d answers", bit, name, after), after, lie)
			t.Logf("bit %d at %s after %d answers: %v", bit, name, after, err)
		}
	})
}

// Nothing without end, and nothing that swells, is read to its end.
func TestTortureServerWithoutEnd(t *testing.T) {
	progress := []byte(strings.Repeat("0020\x02remote: counting objects\n", 2000))
	table := map[string]lie{
		"zeros":              withoutEnd(make([]byte, 1<<16)),
		"lines":              withoutEnd([]byte(strings.Repeat("0008NAK\n", 8000))),
		"progress":           withoutEnd(progress),
		"nothing but zeros":  alone(withoutEnd(make([]byte, 1<<16))),
		"progress alone":     alone(withoutEnd(progress)),
		"elements":           alone(withoutEnd([]byte(strings.Repeat("<Contents></Contents>", 4000)))),
		"a gzip bomb inside": squeezed(t),
	}
	eachPrey(t, func(t *testing.T, p *prey, kind string) {
		for name, lie := range table {
			for after := range 2 {
				began := time.Now()
				err := p.faced(fmt.Sprintf("%s after %d answers", name, after), after, lie)
				t.Logf("%s after %d answers: %v (%v)", name, after, err, time.Since(began).Round(time.Millisecond))
			}
		}
	})
}
