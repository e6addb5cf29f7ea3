//go:build dqlite

package dqlite

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"popup/internal/atomicfile"
	"popup/store"
)

const (
	joiningSuffix = ".tmp-joining"
	// letInTime bounds the answer of one member to who wants to join.
	letInTime = 20 * time.Second
	// mostWelcome bounds that answer, in bytes.
	mostWelcome = 1 << 20
)

// A newcomer is what a console says of itself that wants to join.
type newcomer struct {
	Secret  []byte
	Address string
	Key     []byte // public, as PKIX
	URL     string
	Version string
	Steps   []string
}

// A welcome is what it is answered.
type welcome struct {
	Refused     string `json:",omitempty"` // why; empty: it is let in
	Authority   Authority
	Certificate []byte // PEM
	Addresses   []string
	Files       map[string][]byte
}

func join(ctx context.Context, o Options, j Joining) error {
	t, err := parseToken(j.Token)
	if err != nil {
		return err
	}
	if _, err := os.Stat(o.Dir); err == nil {
		return isOf(o.Dir, t)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	stop, err := waitForACall(ctx, o)
	if err != nil {
		return err
	}
	made := o.Dir + joiningSuffix
	if err := os.MkdirAll(made, 0o700); err != nil {
		return errors.Join(err, stop())
	}
	// Whoever is killed here comes with the same key again, and the token knows it.
	var i Identity
	err = kept(filepath.Join(made, identityFile), &i, func() (Identity, error) {
		_, key, err := newKey()
		return Identity{Key: key}, err
	})
	if err == nil {
		err = askToJoin(ctx, o, j, t, i, func(w welcome) error { return settle(o.Dir, made, i, w, j) })
	}
	return errors.Join(err, stop())
}

// isOf says whether the node in a folder is of the cluster that a token is for: then it
// joined already.
func isOf(dir string, t token) error {
	var i Identity
	if err := readFile(filepath.Join(dir, identityFile), &i); err != nil {
		return fmt.Errorf("read who this node is: %w", err)
	}
	if block, _ := pem.Decode(i.Authority); block == nil || !isAuthority(t, block.Bytes) {
		return fmt.Errorf("%s is of another cluster than the token: give another --data-dir, or start it without --join", dir)
	}
	return nil
}

func isAuthority(t token, der []byte) bool {
	sum := sha256.Sum256(der)
	return subtle.ConstantTimeCompare(sum[:], t.Authority) == 1
}

// waitForACall listens where this node will be, for the members to see that they reach it.
func waitForACall(ctx context.Context, o Options) (stop func() error, err error) {
	host, _, err := net.SplitHostPort(o.Address) // it was looked at
	if err != nil {
		return nil, err
	}
	asked, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(asked, host); err != nil {
		return nil, fmt.Errorf("%s leads nowhere: give an address at which the others reach this machine: %w", o.Address, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for the other consoles: give an address of this machine, and a port that is free: %w", o.Listen, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				conn.Close() //nolint:errcheck // that it was made is all
			}
		}
	}()
	return func() error { err := listener.Close(); <-done; return err }, nil
}

// askToJoin asks the members of a token one after the other, until one answers.
func askToJoin(ctx context.Context, o Options, j Joining, t token, i Identity, take func(welcome) error) error {
	key, err := publicKey(i.Key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(newcomer{t.Secret, o.Address, key, j.URL, j.Version, store.Steps()})
	if err != nil {
		return err
	}
	var all error
	for _, address := range t.Addresses {
		w, err := askOne(ctx, address, t, text)
		if err == nil && w.Refused != "" {
			return fmt.Errorf("the console at %s does not let this one in: %s", address, w.Refused)
		}
		if err == nil {
			return take(w)
		}
		all = errors.Join(all, err)
	}
	return fmt.Errorf("no console of the token's cluster let this one in: look whether they run, and are reached from here: %w", all)
}

func publicKey(keyPEM []byte) ([]byte, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("read this node's key: it is damaged")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read this node's key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("read this node's key: it is none that popup makes")
	}
	return x509.MarshalPKIXPublicKey(signer.Public())
}

// askOne asks one member, which must be of the token's cluster.
func askOne(ctx context.Context, address string, t token, text []byte) (w welcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, letInTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return greet(ctx, address, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{joinProtocol}, ServerName: peerName,
			InsecureSkipVerify: true, //nolint:gosec // the token pins the authority, which vouches for the rest
			VerifyConnection:   func(state tls.ConnectionState) error { return isVouchedFor(t, address, state) }})
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/join", bytes.NewReader(text))
	if err != nil {
		return w, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return w, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	said, err := io.ReadAll(io.LimitReader(resp.Body, mostWelcome))
	if err == nil && resp.StatusCode != http.StatusOK {
		return w, fmt.Errorf("%s answers: %s", address, bytes.TrimSpace(said))
	}
	if err == nil {
		err = json.Unmarshal(said, &w)
	}
	if err != nil {
		return w, fmt.Errorf("read what %s answers: %w", address, err)
	}
	return w, nil
}

// isVouchedFor says whether who answered shows the authority of the token, which vouches
// for the member at an address.
func isVouchedFor(t token, address string, state tls.ConnectionState) error {
	roots := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		if isAuthority(t, c.Raw) {
			roots.AddCert(c)
		}
	}
	if _, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: peerName}); err != nil {
		return fmt.Errorf("the console at %s is not of the cluster that the token was made by", address)
	}
	return isAt(address, state)
}

// settle writes down what this node needs, its own folder last and at once.
func settle(dir, made string, i Identity, w welcome, j Joining) error {
	i.Authority, i.Certificate = w.Authority.Certificate, w.Certificate
	if _, _, err := i.keyPair(); err != nil {
		return err
	}
	if err := j.Take(w.Files); err != nil {
		return err
	}
	for name, doc := range map[string]any{authorityFile: w.Authority, identityFile: i, joinedFile: w.Addresses} {
		if err := writeFile(filepath.Join(made, name), doc); err != nil {
			return err
		}
	}
	if err := os.Rename(made, dir); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(dir))
}
