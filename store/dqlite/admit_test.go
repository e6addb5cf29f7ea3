//go:build dqlite

package dqlite

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// TestAStrangerKeepsNobodyOut: who begins to ask and never ends takes no place, and is hung
// up on.
func TestAStrangerKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	c := grown(t, newMember(t))
	line := tokenOf(t, c)
	var strangers []net.Conn
	for range mostJoining {
		conn, err := greet(t.Context(), c.address(), &tls.Config{NextProtos: []string{joinProtocol}, InsecureSkipVerify: true})
		check(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
		check(t, err)
		strangers = append(strangers, conn)
	}
	check(t, Join(waiting(t), newMember(t), joining(line)))
	for _, conn := range strangers {
		check(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		if text, err := io.ReadAll(conn); err != nil || !bytes.Contains(text, []byte("400 Bad Request")) {
			t.Errorf("a stranger is told %q, %v", text, err)
		}
	}
}
