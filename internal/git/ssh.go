package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"popup/internal/meter"
)

// An sshSession runs git-upload-pack on an SSH server.
type sshSession struct {
	conn   *watchedConn
	client *ssh.Client
	in     io.WriteCloser
	out    io.Reader
	said   *firstWords   // on its standard error
	heard  chan struct{} // closed when all of that has come
	undo   func() bool
	ended  func() error // why the context did
}

// connectSSH signs in and starts git-upload-pack. When ctx ends, so does the connection.
func (r *Remote) connectSSH(ctx context.Context, limit int64) (_ *sshSession, err error) {
	addr := r.address.host
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "22")
	}
	config, err := r.sshConfig(addr)
	if err != nil {
		return nil, err
	}
	r.opts.Meter.Requests(1)
	conn, err := r.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	undo := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever still reads from it is told
	defer func() {
		if err != nil {
			undo()
			err = errors.Join(err, conn.Close())
		}
	}()
	watched := &watchedConn{Conn: conn, left: limit, pace: meter.Pace{Limp: r.opts.Limp}}
	if err := conn.SetDeadline(time.Now().Add(cmp.Or(r.opts.Limp.Stall, stallTimeout))); err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(watched, addr, config)
	if err != nil {
		return nil, r.refusedSSH(err, addr)
	}
	s := &sshSession{conn: watched, client: ssh.NewClient(c, channels, requests), said: &firstWords{}, heard: make(chan struct{}), undo: undo, ended: ctx.Err}
	return s, errors.Join(s.start(r.address.path), conn.SetDeadline(time.Time{}))
}

// Read waits as long as bytes come. Only here it is known that somebody waits, and only
// on the connection what comes: it hands on large packets.
func (s *sshSession) Read(p []byte) (n int, err error) {
	err = s.conn.pace.Wait(s.conn.giveUp, func() error { n, err = s.out.Read(p); return err })
	return n, err
}

// ask sends a request.
func (s *sshSession) ask(body []byte) error {
	return s.conn.pace.Wait(s.conn.giveUp, func() error { _, err := s.in.Write(body); return err })
}

// start runs git-upload-pack. The protocol has one string for the command, which
// the server's shell reads: the path is quoted for it.
func (s *sshSession) start(path string) error {
	run, err := s.client.NewSession()
	if err != nil {
		return err
	}
	run.Stderr = s.said
	if s.in, err = run.StdinPipe(); err != nil {
		return err
	}
	if s.out, err = run.StdoutPipe(); err != nil {
		return err
	}
	if err := run.Start("git-upload-pack " + quoteForShell(path)); err != nil {
		return err
	}
	go func() { // until the session is closed
		defer close(s.heard)
		_ = run.Wait() // how it ended shows in what it sent
	}()
	return nil
}

// lastWords is how long what a server says is waited for when its answer has ended:
// the two come on ways of their own.
const lastWords = time.Second

func quoteForShell(s string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `!`, `'\!'`).Replace(s) + "'"
}

// packSSH has a new session send a pack, which is the caller's to close.
func (r *Remote) packSSH(ctx context.Context, req packRequest) (_ io.ReadCloser, err error) {
	s, err := r.connectSSH(ctx, req.limit)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = s.cause(err)
			_ = s.Close() // it has said why
		}
	}()
	adv, err := advertises(s)
	if err != nil {
		return nil, err
	}
	body, err := req.encode(adv)
	if err != nil {
		return nil, err
	}
	if err = s.ask(body); err != nil {
		return nil, err
	}
	content, err := req.answer(newPackets(s), adv)
	if err != nil {
		return nil, err
	}
	return &sshPack{content, s}, nil
}

// An sshPack is a pack that is being received.
type sshPack struct {
	content io.Reader
	*sshSession
}

func (p *sshPack) Read(b []byte) (int, error) {
	n, err := p.content.Read(b)
	if err != io.EOF {
		err = p.cause(err)
	}
	return n, err
}

// cause prefers why the connection was given up, and what the server said in words,
// to how its answer could not be read.
func (s *sshSession) cause(err error) error {
	why := s.conn.why.Load()
	switch {
	case err == nil:
		return nil
	case s.ended() != nil:
		return s.ended()
	case why != nil:
		return *why
	}
	select {
	case <-s.heard:
	case <-time.After(lastWords):
	}
	words := s.said.String()
	switch {
	case words == "":
		return err
	case strings.Contains(words, "not our ref"):
		return errNotOurs
	case strings.Contains(words, "does not appear to be a git repository"), strings.Contains(strings.ToLower(words), "not found"),
		strings.Contains(words, "could not be found"), strings.Contains(words, "does not exist"):
		return transport.ErrRepositoryNotFound
	}
	return fmt.Errorf("the server said %q", words)
}

func (s *sshSession) Close() error {
	s.undo()
	if err := s.client.Close(); !errors.Is(err, net.ErrClosed) { // the other side was faster
		return err
	}
	return nil
}

// sshConfig reads the key to sign in with, afresh, and the host keys to accept.
func (r *Remote) sshConfig(addr string) (*ssh.ClientConfig, error) {
	text, err := r.credentials()
	if err != nil {
		return nil, err
	}
	user := r.address.user
	if user == "" {
		user = "git"
	}
	config := &ssh.ClientConfig{User: user, Timeout: connectTimeout}
	switch {
	case text == "":
	case strings.HasPrefix(text, "-----BEGIN"):
		key, err := ssh.ParsePrivateKey([]byte(text + "\n"))
		if err != nil {
			return nil, &Error{Class: Credentials, Err: err, Why: "the key in the credentials file is not usable: " + err.Error(),
				Hint: "use a private key without a passphrase"}
		}
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(key)}
	default:
		if name, password, ok := strings.Cut(text, ":"); ok && r.address.user == "" {
			config.User, text = name, password
		}
		config.Auth = []ssh.AuthMethod{ssh.Password(text)}
	}
	known, err := r.knownHosts()
	if err != nil {
		return nil, err
	}
	config.HostKeyCallback, config.HostKeyAlgorithms = known.HostKeyCallback(), known.HostKeyAlgorithms(addr)
	return config, nil
}

// knownHosts reads the pinned host keys, or else those of this machine.
func (r *Remote) knownHosts() (_ *knownhosts.HostKeyDB, err error) {
	if len(r.opts.HostKeys) == 0 {
		return knownhosts.NewDB(existing(systemKnownHosts())...)
	}
	f, err := os.CreateTemp("", "tmp-hosts-") // its reader only takes files
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.WriteString(strings.Join(r.opts.HostKeys, "\n") + "\n"); err != nil {
		return nil, err
	}
	db, err := knownhosts.NewDB(f.Name())
	if err != nil {
		return nil, &Error{Class: HostKey, Why: "the pinned host keys are not known_hosts lines", Hint: "write them as ssh-keyscan prints them"}
	}
	return db, nil
}

func systemKnownHosts() []string {
	files := []string{"/etc/ssh/ssh_known_hosts"}
	if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return files
}

func existing(files []string) []string {
	var there []string
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			there = append(there, f)
		}
	}
	return there
}

// refusedSSH says why a server was not signed in to.
func (r *Remote) refusedSSH(err error, addr string) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return &Error{Class: HostKey, Err: err, Why: "the server " + addr + " has another host key than the one that is known",
			Hint: "somebody may stand in between; if the key was really changed, renew host_keys"}
	case knownhosts.IsHostUnknown(err):
		return &Error{Class: HostKey, Err: err, Why: "the host key of " + addr + " is not known",
			Hint: "put the line that ssh-keyscan prints for it into host_keys, after checking it with its owner"}
	case strings.Contains(err.Error(), "unable to authenticate"):
		hint := "renew what is in the credentials file"
		if r.opts.CredentialsFile == "" {
			hint = "name a credentials file with a private key"
		}
		return &Error{Class: Credentials, Err: err, Why: "credentials refused", Hint: hint}
	}
	return err
}

// A watchedConn bounds what is sent to us, and keeps why it ended.
type watchedConn struct {
	net.Conn
	left int64
	pace meter.Pace
	why  atomic.Pointer[error] // the first error, which what reads from here loses
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.pace.Came(n)
	if c.left -= int64(n); c.left < 0 {
		err = errTooLarge
	}
	if err != nil && err != io.EOF && !errors.Is(err, net.ErrClosed) {
		c.why.CompareAndSwap(nil, &err)
	}
	return n, err
}

// giveUp ends the connection, and what is read from it, for a reason.
func (c *watchedConn) giveUp(why error) {
	c.why.CompareAndSwap(nil, &why)
	_ = c.Close() // it is not wanted any more
}

// firstWords keeps the beginning of what a server prints.
type firstWords struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *firstWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p[:min(len(p), max(0, 1000-w.text.Len()))])
	return len(p), nil
}

func (w *firstWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(w.text.String())
}
