//go:build dqlite

package dqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"popup/console"
	"popup/store"
)

const (
	// mostNewcomer bounds what a console says that wants to join, in bytes, and mostJoining
	// how many are answered at once.
	mostNewcomer = 64 << 10
	mostJoining  = 4
	// callTime bounds the look whether a newcomer is reached.
	callTime = 3 * time.Second
)

// Token implements console.Cluster.
func (r *running) Token(ctx context.Context, holds time.Duration) (string, error) {
	if holds <= 0 || holds > 7*24*time.Hour {
		return "", errors.New("make a token: let it hold for at most a week")
	}
	a, err := r.authority()
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(a.Certificate)
	if block == nil {
		return "", errors.New("make a token: the authority's certificate is damaged")
	}
	members, err := r.node.known(ctx)
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	sum := sha256.Sum256(block.Bytes)
	t := token{Addresses: []string{r.node.link.address}, Authority: sum[:], Secret: make([]byte, secretBytes)}
	_, _ = rand.Read(t.Secret) // it never fails
	for _, m := range members {
		if !m.Self {
			t.Addresses = append(t.Addresses, m.Address)
		}
	}
	now := time.Now()
	if err := r.store.Update(ctx, func(tx console.Tx) error { return newToken(tx, t.Secret, now, now.Add(holds)) }); err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return t.String(), nil
}

func (r *running) authority() (a Authority, err error) {
	if err := readFile(filepath.Join(r.node.dir, authorityFile), &a); err != nil {
		return a, fmt.Errorf("read the cluster's authority: %w", err)
	}
	return a, nil
}

// Admit implements engine.
func (r *running) Admit(ctx context.Context, h Host) error {
	r.host.Store(&h)
	if err := r.sameURL(ctx, h); err != nil {
		return err
	}
	places := make(chan struct{}, mostJoining)
	r.node.link.joins.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n, err := readNewcomer(w, req)
		if err != nil {
			http.Error(w, "this is nothing that a console says which joins", http.StatusBadRequest)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "others join right now: try again", http.StatusServiceUnavailable)
			return
		}
		r.answerNewcomer(w, req, n, h)
	}))
	return nil
}

// sameURL says in a sentence where this console is reached in another way than others.
func (r *running) sameURL(ctx context.Context, h Host) error {
	members, err := r.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range r.abouts(ctx, members) {
		if m.URL != "" && m.URL != h.URL {
			return fmt.Errorf("this console is started for %s, and the one at %s for %s: the consoles of a cluster are reached at one URL, which leads to all of them; "+
				"give this one --url %s, or stop all, and start all with another one", h.URL, m.Address, m.URL, m.URL)
		}
	}
	return nil
}

// readNewcomer reads what whoever asks says of itself, before it takes a place: a stranger
// may keep nobody out.
func readNewcomer(w http.ResponseWriter, req *http.Request) (n newcomer, err error) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(greetTime)); err != nil {
		return n, err
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, req.Body, mostNewcomer))
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal(text, &n)
}

func (r *running) answerNewcomer(w http.ResponseWriter, req *http.Request, n newcomer, h Host) {
	answer, err := r.admit(req.Context(), n, h)
	var why refused
	if errors.As(err, &why) {
		r.log.Warn("let no console in", "address", n.Address, "from", req.RemoteAddr, "err", why)
		answer, err = welcome{Refused: string(why)}, nil
	}
	if err != nil {
		r.log.Warn("let a console in", "address", n.Address, "from", req.RemoteAddr, "err", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // whoever asked is gone, and comes again
}

// admit lets a newcomer in that has a token, if nothing about it keeps it out.
func (r *running) admit(ctx context.Context, n newcomer, h Host) (w welcome, err error) {
	key, err := x509.ParsePKIXPublicKey(n.Key)
	if err != nil {
		return w, refused("its key is none that popup makes")
	}
	id := keyID(key)
	err = r.store.View(ctx, func(tx console.Tx) error {
		_, err := tokenIn(tx, n.Secret, id, time.Now())
		return err
	})
	if err != nil {
		return w, err
	}
	members, err := r.node.known(ctx)
	if err != nil {
		return w, err
	}
	if err := r.fits(ctx, n, h, members); err != nil {
		return w, err
	}
	a, err := r.authority()
	if err != nil {
		return w, err
	}
	w = welcome{Authority: a, Addresses: []string{r.node.link.address}}
	for _, m := range members {
		if !m.Self {
			w.Addresses = append(w.Addresses, m.Address)
		}
	}
	if w.Files, err = h.Files(); err != nil {
		return w, err
	}
	if w.Certificate, err = a.certify(key, n.Address); err != nil {
		return w, err
	}
	if err := r.store.Update(ctx, func(tx console.Tx) error { return letIn(tx, n.Secret, id, n.Address, time.Now()) }); err != nil {
		return welcome{}, err
	}
	r.node.link.admit(id)
	r.log.Info("let a console in", "address", n.Address, "version", n.Version)
	return w, nil
}

// fits says what about a newcomer does not fit here.
func (r *running) fits(ctx context.Context, n newcomer, h Host, members []Member) error {
	if err := isAddress(n.Address); err != nil {
		return refused(err.Error())
	}
	if slices.ContainsFunc(members, func(m Member) bool { return m.Address == n.Address }) {
		return refused(fmt.Sprintf("a console is in the cluster at %s already: where that one is lost, run popup console cluster remove %s first", n.Address, n.Address))
	}
	if n.URL != h.URL {
		return refused(fmt.Sprintf("the consoles of this cluster are reached at one URL, %s, which leads to all of them: start this one with --url %s", h.URL, h.URL))
	}
	if err := r.store.Fits(ctx, n.Steps); errors.Is(err, store.ErrVersion) {
		return refused(fmt.Sprintf("its version is %s, and here it is %s: %v", n.Version, h.Version, err))
	} else if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Address)
	if err != nil {
		return refused(fmt.Sprintf("it is not reached from here at %s: give an address that leads to it, and let the port through: %v", n.Address, err))
	}
	return conn.Close()
}
