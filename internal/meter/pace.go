package meter

import (
	"cmp"
	"errors"
	"sync"
	"time"
)

// Why a transfer was given up.
var (
	ErrStalled = errors.New("the server sent nothing for too long")
	ErrSlow    = errors.New("the server sent too little for too long")
)

// A Limp is the least that a transfer must come up to, however long all of it takes:
// a slow line ends some day, and one that drips does not. The zero value stands for
// what each field says.
type Limp struct {
	Stall    time.Duration // the longest wait for anything at all; 0: 30 s
	Least    int64         // bytes a second; 0: 1 KiB
	Patience time.Duration // how far it may be behind that; 0: 5 min, as a server may have to think before it sends
}

// A Pace gives up a transfer that is slower than its Limp. Only what is waited for the
// other side counts. The zero value is ready. One goroutine at a time may wait.
type Pace struct {
	Limp

	mu     sync.Mutex
	behind time.Duration
	since  time.Time   // what is waited was counted until then
	timer  *time.Timer // nil: nobody waits
	stop   func(error)
	why    error // it was given up
}

// Wait runs read, which waits for the other side and says by Came what came from there.
// Where that is too little, it calls stop with the reason, which must have read return,
// and the error is the reason.
func (p *Pace) Wait(stop func(error), read func() error) error {
	p.mu.Lock()
	p.stop, p.since = stop, time.Now()
	p.arm()
	p.mu.Unlock()
	err := read()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(0)
	p.timer.Stop()
	p.timer = nil
	if err != nil && p.why != nil {
		return p.why
	}
	return err
}

// Came adds n bytes, whether or not somebody waits for them. Any goroutine may call it.
func (p *Pace) Came(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(n)
	if p.timer != nil && n > 0 {
		p.timer.Stop()
		p.arm()
	}
}

// count takes the time since it was called last against n bytes. A burst earns nothing
// for later.
func (p *Pace) count(n int) {
	if p.timer != nil {
		now := time.Now()
		p.behind += now.Sub(p.since)
		p.since = now
	}
	p.behind = max(0, p.behind-time.Duration(n)*time.Second/time.Duration(cmp.Or(p.Least, 1<<10)))
}

func (p *Pace) arm() {
	why, most := ErrStalled, cmp.Or(p.Stall, 30*time.Second)
	if left := cmp.Or(p.Patience, 5*time.Minute) - p.behind; left < most {
		why, most = ErrSlow, left
	}
	var timer *time.Timer
	timer = time.AfterFunc(most, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.timer == timer { // nothing came while this was on its way
			p.why = why
			p.stop(why)
		}
	})
	p.timer = timer
}
