package sandbox_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"popup/internal/sandbox"
)

// The instance's metadata, as it is reached; the last is the first in IPv6 clothes.
var metadata = []string{"169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80"}

// neighbour is an address beside the metadata: the time and the names come from there.
const neighbour = "169.254.169.123:80"

func TestCloseMetadata(t *testing.T) {
	if !isRoot() {
		err := sandbox.CloseMetadata(12345)
		if err == nil || !strings.Contains(err.Error(), "close instance metadata to user 12345: only root may change the firewall") {
			t.Errorf("without root: %v", err)
		}
		return
	}
	user := anotherUser(t)
	if !inOwnNetwork(t, "169.254.169.254/32", "169.254.169.123/32", "fd00:ec2::254/128") {
		return
	}
	serveMetadata(t)
	other := &sandbox.User{Name: "other", UID: user.UID + 1000, GID: user.GID}
	reach := func(when string, u *sandbox.User, want bool) {
		t.Helper()
		for _, address := range metadata {
			a := attempts(t, sandbox.Policy{User: u}, targets{reach: []string{address}})["reach "+address]
			if a.Allowed != want {
				t.Errorf("%s: user %v reaches %s: %v, want %v (%s)", when, u, address, a.Allowed, want, a.Why)
			}
			if !want && (a.Took > time.Second/2 || !strings.Contains(a.Why, "connection refused")) {
				t.Errorf("%s: refused after %s: %s; want at once", when, a.Took, a.Why)
			}
		}
		if a := attempts(t, sandbox.Policy{User: u}, targets{reach: []string{neighbour}})["reach "+neighbour]; !a.Allowed {
			t.Errorf("%s: user %v does not reach %s: %s", when, u, neighbour, a.Why)
		}
	}
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	reach("before", user, true)
	do("close", sandbox.CloseMetadata(user.UID))
	reach("closed", user, false)
	reach("closed to another", other, true)
	reach("closed to another", nil, true)
	do("close again", sandbox.CloseMetadata(user.UID))
	do("close to another too", sandbox.CloseMetadata(other.UID))
	reach("closed again", user, false)
	if rules := ruleset(t); strings.Count(rules, "reject") != 8 {
		t.Errorf("two users, two addresses, TCP and the rest make eight rules:\n%s", rules)
	}
	do("open", sandbox.OpenMetadata(user.UID))
	reach("open", user, true)
	reach("open to another", other, false)
	do("open again", sandbox.OpenMetadata(user.UID))
	do("open to another", sandbox.OpenMetadata(other.UID))
	if rules := ruleset(t); strings.Contains(rules, "chain") {
		t.Errorf("left behind:\n%s", rules)
	}
}

// Rules of others are neither read nor lost.
func TestCloseMetadataLeavesOthersRules(t *testing.T) {
	if !isRoot() {
		if err := sandbox.OpenMetadata(12345); err == nil || !strings.Contains(err.Error(), "only root may change the firewall") {
			t.Errorf("without root: %v", err)
		}
		return
	}
	if !inOwnNetwork(t) {
		return
	}
	runTool(t, "nft", "add table inet filter; add chain inet filter user-12345 { type filter hook output priority 0; }; add rule inet filter user-12345 counter")
	before := ruleset(t)
	for range 2 {
		if err := sandbox.CloseMetadata(12345); err != nil {
			t.Fatal(err)
		}
		if err := sandbox.OpenMetadata(12345); err != nil {
			t.Fatal(err)
		}
	}
	if after := ruleset(t); !strings.HasPrefix(after, before) {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestMetadataIsNotClosedToRoot(t *testing.T) {
	if err := sandbox.CloseMetadata(0); err == nil || !strings.Contains(err.Error(), "it would be closed to root") {
		t.Errorf("error is %v", err)
	}
}

func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	return string(out)
}

// serveMetadata listens where the metadata of an instance is, and beside it.
func serveMetadata(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::]:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close() // that it could be opened is all
		}
	}()
}
