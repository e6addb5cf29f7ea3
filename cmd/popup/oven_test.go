package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"popup/console"
)

// An oven is a pretence that has images, and whose machines are never done.
type oven struct {
	*pretence
	mu   sync.Mutex
	gone map[string]bool
}

func (o *oven) Bake(context.Context, string, map[string]string) (console.Image, error) {
	return console.Image{}, errors.New("it is not warm")
}

func (o *oven) Images(context.Context) (all []console.Image, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, app := range []string{"notice", "guestbook"} {
		if id := fmt.Sprintf("ami-%d", n); !o.gone[id] {
			all = append(all, console.Image{ID: id, Ready: true, Baked: time.Now().Add(-time.Duration(n+1) * time.Hour), Tags: map[string]string{"popup:app": app}})
		}
	}
	return all, nil
}

func (o *oven) Forget(_ context.Context, image string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone[image] = true
	return nil
}
