package machine

import (
	"bytes"
	"io"
	"net"
	"os"
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
	if err := pipe([]string{socket, t.TempDir()}, strings.NewReader("question"), &out); err != nil || out.String() != "QUESTION" {
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
	if err := pipe([]string{socket, t.TempDir()}, open, io.Discard); err != nil {
		t.Error(err)
	}
	if err := pipe(nil, open, io.Discard); err == nil || !strings.Contains(err.Error(), "its path and a folder") {
		t.Errorf("without a path: %v", err)
	}
}

// A machine that connects without end has so many processes here, and no more.
func TestPipesOfAMachineAreBounded(t *testing.T) {
	dir := t.TempDir()
	var turns []*os.File
	for range mostPipes {
		turn, err := takeTurn(dir)
		if err != nil {
			t.Fatal(err)
		}
		turns = append(turns, turn)
	}
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { noError(t, listener.Close()) }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	if err := pipe([]string{socket, dir}, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "64 connections already") {
		t.Errorf("one more: %v", err)
	}
	noError(t, turns[3].Close())
	if err := pipe([]string{socket, dir}, strings.NewReader(""), io.Discard); err != nil {
		t.Errorf("once another has ended: %v", err)
	}
	for _, turn := range turns {
		_ = turn.Close()
	}
}
