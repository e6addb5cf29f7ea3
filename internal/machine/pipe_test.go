package machine

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestPipe(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, listener.Close()) }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		// The answer comes when the question has ended, and ends by itself.
		question, _ := io.ReadAll(conn)
		_, _ = conn.Write(bytes.ToUpper(question))
		_ = conn.Close()
	}()
	var out bytes.Buffer
	if err := pipe([]string{socket}, strings.NewReader("question"), &out); err != nil || out.String() != "QUESTION" {
		t.Errorf("the answer is %q: %v", out.String(), err)
	}
}

func TestPipeEndsWithTheAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, listener.Close()) }()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
		}
	}()
	open, writer := io.Pipe() // who asks never ends
	defer func() { noError(t, writer.Close()) }()
	if err := pipe([]string{socket}, open, io.Discard); err != nil {
		t.Error(err)
	}
	if err := pipe(nil, open, io.Discard); err == nil || !strings.Contains(err.Error(), "its path is the one argument") {
		t.Errorf("without a path: %v", err)
	}
}
