package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"popup/console"
	"popup/web/api"
)

// controlCluster adds what whoever has the machine may ask of the cluster.
func controlCluster(mux *http.ServeMux, c *console.Console) {
	handle := func(route string, do func(r *http.Request, answer *controlMembers) error) {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			var answer controlMembers
			if err := do(r, &answer); err != nil {
				answer.Error = err.Error()
			}
			_ = json.NewEncoder(w).Encode(answer) // whoever asked is gone, otherwise
		})
	}
	handle("GET /cluster", func(r *http.Request, answer *controlMembers) error {
		state, err := c.ClusterState(r.Context(), console.System)
		answer.Cluster = ClusterOf(state, c.BackupsAlone())
		return err
	})
	handle("POST /cluster/token", func(r *http.Request, answer *controlMembers) error {
		holds, err := time.ParseDuration(r.URL.Query().Get("for"))
		if err != nil {
			return fmt.Errorf("make a token: %w", err)
		}
		answer.Token, err = c.ClusterToken(r.Context(), console.System, holds)
		return err
	})
	handle("POST /cluster/remove", func(r *http.Request, answer *controlMembers) error {
		if err := c.RemoveMember(r.Context(), console.System, r.URL.Query().Get("address")); err != nil {
			return err
		}
		state, err := c.ClusterState(r.Context(), console.System)
		if err != nil { // what was done is done
			state.Why = err.Error()
		}
		answer.Cluster = ClusterOf(state, c.BackupsAlone())
		return nil
	})
	handle("POST /cluster/leave", func(r *http.Request, _ *controlMembers) error {
		return c.Leave(r.Context(), console.System)
	})
}

type controlMembers struct {
	Cluster api.Cluster
	Token   string
	Error   string
}

// Cluster says who keeps the store, and what may be lost.
func (l *Local) Cluster(ctx context.Context) (api.Cluster, error) {
	answer, err := l.cluster(ctx, http.MethodGet, "")
	return answer.Cluster, err
}

// ClusterToken makes a line with which one other console joins, for as long as it holds.
func (l *Local) ClusterToken(ctx context.Context, holds time.Duration) (string, error) {
	answer, err := l.cluster(ctx, http.MethodPost, "/token?"+url.Values{"for": {holds.String()}}.Encode())
	return answer.Token, err
}

// RemoveMember takes a console out for good that was lost, and says how things are then.
func (l *Local) RemoveMember(ctx context.Context, address string) (api.Cluster, error) {
	answer, err := l.cluster(ctx, http.MethodPost, "/remove?"+url.Values{"address": {address}}.Encode())
	return answer.Cluster, err
}

// Leave takes the console out of its cluster for good; it ends then.
func (l *Local) Leave(ctx context.Context) error {
	_, err := l.cluster(ctx, http.MethodPost, "/leave")
	return err
}

func (l *Local) cluster(ctx context.Context, method, path string) (answer controlMembers, err error) {
	if err := l.ask(ctx, method, "/cluster"+path, &answer); err != nil {
		return answer, err
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}
