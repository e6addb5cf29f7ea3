package meter_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"popup/internal/meter"
)

func TestMeterCountsConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write(make([]byte, 1000))
			_, copied := io.Copy(io.Discard, conn)
			err = errors.Join(err, copied, conn.Close())
		}
		done <- err
	}()
	var m meter.Meter
	var d net.Dialer
	conn, err := m.Dial(d.DialContext)(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	m.Requests(2)
	if err := errors.Join(conn.Close(), <-done, listener.Close()); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Read(), (meter.Cost{Requests: 2, BytesIn: 1000, BytesOut: 5}); got != want {
		t.Errorf("counted %+v; want %+v", got, want)
	}
}

func TestNoMeter(t *testing.T) {
	var m *meter.Meter
	refuse := errors.New("not for you")
	dial := m.Dial(func(context.Context, string, string) (net.Conn, error) { return nil, refuse })
	if _, err := dial(t.Context(), "tcp", "x"); !errors.Is(err, refuse) {
		t.Errorf("got %v; want the dialer's own refusal", err)
	}
	m.Requests(1)
	if got := m.Read(); got != (meter.Cost{}) {
		t.Errorf("no meter counted %+v", got)
	}
	if _, err := new(meter.Meter).Dial(dial)(t.Context(), "tcp", "x"); !errors.Is(err, refuse) {
		t.Errorf("got %v; want the dialer's own refusal", err)
	}
}
