package meter_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/meter"
)

// transfer reads steps of n bytes, for each of which it waits, until it is over or given up.
func transfer(p *meter.Pace, steps, n int, wait time.Duration) error {
	for range steps {
		stopped := make(chan struct{})
		err := p.Wait(func(error) { close(stopped) }, func() error {
			select {
			case <-time.After(wait):
				p.Came(n)
				return nil
			case <-stopped:
				return io.ErrClosedPipe
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		limp  meter.Limp
		steps int
		n     int
		wait  time.Duration
		want  error
		took  time.Duration
	}{
		"for a day":            {meter.Limp{}, 86400, 1 << 10, time.Second, nil, 24 * time.Hour},
		"in lumps":             {meter.Limp{}, 2000, 30 << 10, 29 * time.Second, nil, 2000 * 29 * time.Second},
		"nothing":              {meter.Limp{}, 1, 1 << 20, 31 * time.Second, meter.ErrStalled, 30 * time.Second},
		"a drip":               {meter.Limp{}, 1000, 1, 20 * time.Second, meter.ErrSlow, 5 * time.Minute},
		"a little too slow":    {meter.Limp{}, 86400, 1<<10 - 64, time.Second, meter.ErrSlow, 79 * time.Minute},
		"of a server's choice": {meter.Limp{Stall: time.Second, Least: 10, Patience: 3 * time.Second}, 100, 5, time.Second / 2, nil, 50 * time.Second},
		"below that":           {meter.Limp{Stall: time.Second, Least: 10, Patience: 3 * time.Second}, 100, 1, time.Second / 2, meter.ErrSlow, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := transfer(&meter.Pace{Limp: c.limp}, c.steps, c.n, c.wait)
				took := time.Since(began)
				if !errors.Is(err, c.want) || err != nil && c.want == nil || took < c.took || took > c.took+c.took/10+time.Second {
					t.Errorf("after %v: %v; want %v after %v", took, err, c.want, c.took)
				}
			})
		})
	}
}

// What comes for a step that is not over yet keeps it going: SSH hands on large packets.
func TestPaceOfALongStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p meter.Pace
		err := p.Wait(func(err error) { t.Errorf("given up: %v", err) }, func() error {
			for range 3600 {
				<-time.After(time.Second)
				p.Came(1 << 10)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// What a burst earned is not kept: who drips after it is given up as soon.
func TestPaceForgetsBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p meter.Pace
		if err := transfer(&p, 10, 100<<20, time.Second); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := transfer(&p, 1000, 1, 10*time.Second); !errors.Is(err, meter.ErrSlow) || time.Since(began) > 6*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// What the reader itself takes its time with is not held against the server.
func TestPaceCountsWaitingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p meter.Pace
		for range 100 {
			if err := transfer(&p, 1, 1<<10, time.Second); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Hour)
		}
	})
}
