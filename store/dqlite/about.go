//go:build dqlite

package dqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"popup/console"
)

const (
	aboutPath = "/cluster/about"
	mostAbout = 16 << 10 // bytes
)

// An about is what a member says of itself.
type about struct {
	Version string
	URL     string
	Entries int64 // of the log, on its disk
}

func (r *running) about(w http.ResponseWriter, _ *http.Request) {
	a := about{Entries: lastEntry(r.node.dir)}
	if h := r.host.Load(); h != nil {
		a.Version, a.URL = h.Version, h.URL
	}
	json.NewEncoder(w).Encode(a) //nolint:errcheck // whoever asked is gone
}

// abouts asks each member that answers about itself.
func (r *running) abouts(ctx context.Context, members []Member) (all []console.Member) {
	said := make([]about, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		said[i].Entries = -1
		all = append(all, m.Member)
		if m.Answers {
			asking.Go(func() {
				if a, err := r.node.link.askAbout(ctx, m.Address); err == nil {
					said[i] = a
				}
			})
		}
	}
	asking.Wait()
	most := slices.MaxFunc(append(said, about{}), func(a, b about) int { return int(a.Entries - b.Entries) }).Entries
	for i, a := range said {
		all[i].Version, all[i].URL = a.Version, a.URL
		if a.Entries >= 0 {
			all[i].Behind = most - a.Entries
		}
	}
	return all
}

// askAbout asks one member about itself. Its error is errGone where that one says that this
// console is in the cluster no more.
func (l *link) askAbout(ctx context.Context, address string) (a about, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+aboutPath, nil)
	if err != nil {
		return a, err
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return a, err
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, mostAbout))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return a, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return a, json.Unmarshal(said, &a)
	case http.StatusGone:
		return a, errGone
	}
	return a, fmt.Errorf("%s answers %s", address, resp.Status)
}
