package testutil

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// An SSHServer is a real SSH server of this machine, whose shell runs real git.
type SSHServer struct {
	Address string
	HostKey string // a known_hosts line
	KeyFile string // a private key that lets in
}

// URL is the address of a repository, by its path.
func (s SSHServer) URL(path string) string { return "ssh://git@" + s.Address + path }

// NewSSHServer serves until the test is over.
func NewSSHServer(t testing.TB) SSHServer {
	t.Helper()
	host, _ := NewSSHKey(t)
	user, keyFile := NewSSHKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, os.ErrPermission
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { serveSSH(conn, config) })
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		open.Wait()
	})
	address := listener.Addr().String()
	return SSHServer{address, knownhosts.Line([]string{address}, host.PublicKey()), keyFile}
}

// NewSSHKey makes a key, and the file of its private half.
func NewSSHKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer, file
}

// serveSSH runs the commands of one connection, as a login shell would.
func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close() //nolint:errcheck // the client may have gone
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			var payload struct{ Command string }
			if r.Type != "exec" || ssh.Unmarshal(r.Payload, &payload) != nil {
				_ = r.Reply(r.Type == "env", nil)
				continue
			}
			_ = r.Reply(true, nil)
			cmd := exec.Command("sh", "-c", payload.Command)
			cmd.Env, cmd.Stdout, cmd.Stderr = GitEnv(), channel, channel.Stderr()
			if in, err := cmd.StdinPipe(); err == nil && cmd.Start() == nil {
				go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
				_ = cmd.Wait()
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			_ = channel.Close()
		}
	}
}
