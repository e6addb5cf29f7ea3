package store

import (
	"context"
	"time"
)

// lookTime bounds one look for what others wrote; where it does not do, the next one is
// as good.
const lookTime = 5 * time.Second

// watch looks for what other processes wrote, and tells of it, until what it returns
// is called.
func (s *Store) watch() (stop func()) {
	if s.opts.Watch == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(s.opts.Watch)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.look(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (s *Store) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var newest int64
	err := s.view(ctx, func(t *tx) (err error) { newest, err = t.Newest(); return err })
	if err == nil && s.isNews(newest) {
		s.tell(newest)
	}
}

func (s *Store) isNews(change int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return change > s.told
}
