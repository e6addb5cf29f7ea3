package launcher

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"popup/datasync"
	"popup/internal/wire"
)

const (
	// debounce is how long news waits for more of it.
	debounce = time.Second
	// seqBlock is how many numbers of reports are set aside at once, so that not each
	// of them is written down.
	seqBlock = 1000
)

// report tells the console how the instance is, when there is news and else every
// now and then, until ctx ends. One that does not answer is asked ever more seldom.
func (l *link) report(ctx context.Context) {
	failed := 0
	for ctx.Err() == nil {
		answer, err := l.reportOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := time.Duration(0)
		if err == nil {
			failed = 0
			wait = untilTurn(l.instance, time.Now(), wire.Period(cmp.Or(answer.Next, l.kept.get().Every)))
		} else {
			failed++
			wait = l.waitAfter(failed, err)
			if failed == 1 {
				l.log.Warn("report", "err", err)
			}
		}
		l.note(err, wait)
		if !l.awaitTurn(ctx, wait, err == nil) {
			return
		}
	}
}

// awaitTurn waits for the next report; it is false when ctx ended. A console that
// does not answer gets no news.
func (l *link) awaitTurn(ctx context.Context, wait time.Duration, answers bool) bool {
	if pause(ctx, min(wait, debounce)) != nil {
		return false
	}
	timer := time.NewTimer(wait - debounce)
	defer timer.Stop()
	news := l.news
	if !answers {
		news = nil
	}
	select {
	case <-timer.C:
		return true
	case <-news:
		return pause(ctx, debounce) == nil
	case <-ctx.Done():
		return false
	}
}

// untilTurn is when this instance reports next, between half a period and one and
// a half: at a moment of the period that is its own, whenever it was started.
func untilTurn(instance string, now time.Time, period time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(instance)) // never fails
	turn := time.Duration(h.Sum64() % uint64(period))
	wait := (turn - time.Duration(now.UnixNano()%int64(period)) + period) % period
	if wait < period/2 {
		wait += period
	}
	return wait
}

// reportOnce sends one report and takes in the answer.
func (l *link) reportOnce(ctx context.Context) (wire.Answer, error) {
	l.sending.Lock()
	defer l.sending.Unlock()
	select { // what is news now is in it
	case <-l.news:
	default:
	}
	seq, err := l.nextSeq()
	if err != nil {
		return wire.Answer{}, err
	}
	body, results, err := l.makeReport(seq)
	if err != nil {
		return wire.Answer{}, err
	}
	if body, err = l.call(ctx, outgoing{path: wire.PathReport, body: body, most: wire.MaxAnswer}); err != nil {
		return wire.Answer{}, fmt.Errorf("report: %w", err)
	}
	answer, err := wire.ParseAnswer(body)
	if err != nil {
		return wire.Answer{}, fmt.Errorf("report: %w", err)
	}
	if err := errors.Join(l.reported(results), l.take(answer)); err != nil {
		return wire.Answer{}, err
	}
	l.mu.Lock()
	l.heard = time.Now()
	l.mu.Unlock()
	return answer, nil
}

// nextSeq is a number that no report had, on disk before it is used.
func (l *link) nextSeq() (uint64, error) {
	l.mu.Lock()
	l.seq++
	seq := l.seq
	l.mu.Unlock()
	if seq < l.kept.get().Seq {
		return seq, nil
	}
	return seq, l.kept.update(func(t *consoleFacts) { t.Seq = seq + seqBlock })
}

// makeReport is a report as JSON, with texts as long as they fit, and the results
// that are in it.
func (l *link) makeReport(seq uint64) (body []byte, results []wire.Result, err error) {
	status := l.app.now()
	for _, limit := range []int{4000, 1000, 200, 40} {
		r := reportOf(status, limit)
		r.Version, r.Seq, r.Numbers = wire.TalkVersion, seq, l.app.numbers(status)
		k := l.kept.get()
		r.Generation, r.Baked = k.wanted().Generation, l.app.bakedNow()
		l.mu.Lock()
		r.Unmet = clip(l.unmet, limit)
		l.mu.Unlock()
		for _, d := range k.Commands {
			if !d.At.IsZero() && !d.Reported && len(r.Results) < resultsSent {
				result := d.Result
				result.Verb, result.Text = clip(result.Verb, 40), clip(result.Text, limit)
				r.Results = append(r.Results, result)
			}
		}
		if body, err = json.Marshal(r); err != nil {
			return nil, nil, fmt.Errorf("make a report: %w", err)
		}
		if len(body) <= wire.MaxReport {
			return body, r.Results, nil
		}
	}
	return nil, nil, fmt.Errorf("make a report: it has %d bytes", len(body))
}

const (
	resultsSent = 20 // of commands, in one report
	notesSent   = 20
)

// reportOf is a status as the console is told it, no text longer than limit.
func reportOf(s Status, limit int) wire.Report {
	r := wire.Report{
		Time: time.Now().UTC(), Since: s.Since, Popup: s.Version, App: s.App, URL: clip(s.URL, limit), Live: s.Live, Healthy: s.Healthy,
		Why: clip(s.Why, limit), ReadOnly: s.ReadOnly, Service: streamOf(s.Service, limit), Data: streamOf(s.Data, limit),
	}
	for _, p := range s.Phases {
		phase := wire.Phase{Name: string(p.Name), State: string(p.State), Cause: clip(p.Cause, limit), Detail: clip(p.Detail, limit), Attempt: p.Attempt, Since: p.Since}
		if p.NextTry != nil {
			phase.NextTry = *p.NextTry
		}
		r.Phases = append(r.Phases, phase)
	}
	if s.Serving != nil {
		r.Serving = &wire.Serving{Release: string(s.Serving.Release), Revision: string(s.Serving.Revision), Since: s.Serving.Since}
	}
	if s.End != nil {
		r.End = &wire.Ending{At: s.End.At, Step: s.End.Step, Reason: clip(s.End.Reason, limit), Detail: clip(s.End.Detail, limit), Archive: s.End.Archive}
	}
	for _, note := range s.Notes[:min(len(s.Notes), notesSent)] {
		r.Notes = append(r.Notes, clip(note, limit))
	}
	return r
}

func streamOf(s *datasync.Status, limit int) *wire.Stream {
	if s == nil {
		return nil
	}
	return &wire.Stream{
		Source: clip(s.Source, limit), Wanted: string(s.Wanted), Held: string(s.Held), ErrorClass: s.ErrorClass, ErrorKind: s.ErrorKind,
		Error: clip(s.LastError, limit), Refused: len(s.Refused), Via: s.Via, LastTry: s.LastTry, LastSuccess: s.LastSuccess,
		Confirmed: s.Confirmed, StaleAt: s.StaleAt, NextTry: s.NextTry,
	}
}

// numbers are what a console draws. What this machine does not tell is 0.
func (a *Appliance) numbers(s Status) wire.Numbers {
	n := wire.Numbers{Requests: s.Requests, Errors: s.Errors, Restarts: s.Restarts}
	var disk unix.Statfs_t
	if unix.Statfs(a.at.lib(), &disk) == nil {
		n.DiskFree, n.DiskSize = int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		n.MemorySize, n.MemoryFree = kibibytes(text, "MemTotal:"), kibibytes(text, "MemAvailable:")
	}
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		n.MemoryPopup = kibibytes(text, "VmRSS:")
	}
	return n
}

// kibibytes finds "name 123 kB" in one of the kernel's tables, in bytes.
func kibibytes(table []byte, name string) int64 {
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) > 1 && string(fields[0]) == name {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 53)
			return n << 10
		}
	}
	return 0
}

// lastWord reports once more, before the machine is turned off.
func (l *link) lastWord(ctx context.Context) {
	const most = 5 * time.Second
	if l == nil || !l.isEnrolled() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if _, err := l.reportOnce(ctx); err != nil {
		l.log.Warn("report the end", "err", err)
	}
}
