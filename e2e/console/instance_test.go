package console

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// An instance talks to the console as popup up does, over a connection that it keeps as long
// as the console does. It
// is used by one goroutine at a time.
type instance struct {
	id, token string
	key       ed25519.PrivateKey
	report    wire.Report
	told      uint64 // the newest report that was answered
	toldNews  uint64 // the newest with news that was
	at        string // HOST:PORT of the console
	conn      net.Conn
	in        *bufio.Reader
}

// patience is how long an instance waits for an answer, as popup up does.
const patience = 30 * time.Second

// post sends a signed request, and reads what is answered. After an error the next one
// takes another connection.
func (i *instance) post(ctx context.Context, path string, body []byte) (answer []byte, err error) {
	if i.conn == nil {
		var dialer net.Dialer
		if i.conn, err = dialer.DialContext(ctx, "tcp", i.at); err != nil {
			return nil, err
		}
		i.in = bufio.NewReaderSize(i.conn, 1<<10)
	}
	defer func() {
		if err != nil {
			i.hangUp()
		}
	}()
	if err := i.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	signed := wire.Signed{Method: http.MethodPost, Path: path, Instance: i.id, Body: body}
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: popup\r\nContent-Type: application/json\r\n%s: %s\r\n%s: %s\r\nContent-Length: %d\r\n\r\n",
		path, i.at, wire.HeaderInstance, i.id, wire.HeaderSignature, signed.Sign(i.key), len(body))
	out.Write(body)
	if _, err := i.conn.Write(out.Bytes()); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(i.in, nil)
	if err != nil {
		return nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	if resp.Close {
		i.hangUp()
	}
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &testutil.Refusal{Status: resp.StatusCode, Text: string(answer)}
	}
	return answer, err
}

func (i *instance) hangUp() {
	if i.conn != nil {
		_ = i.conn.Close() // nothing is sent on it any more
		i.conn = nil
	}
}

// enrol brings its key.
func (i *instance) enrol(ctx context.Context) error {
	body, err := json.Marshal(wire.Enrolment{Version: wire.TalkVersion, Instance: i.id, Token: i.token, Key: i.key.Public().(ed25519.PublicKey), Popup: "0.9.0", Arch: "amd64"})
	if err != nil {
		return err
	}
	answer, err := i.post(ctx, wire.PathEnrol, body)
	if err != nil {
		return fmt.Errorf("enrol %s: %w", i.id, err)
	}
	_, err = wire.ParseEnrolled(answer)
	return err
}

// A telling is a report and what came of it.
type telling struct {
	sent, answered time.Time
	news           bool
	next           time.Duration // in which it was told to report again
	err            error
}

// tell reports how it is; change makes news of it, nil: there are none.
func (i *instance) tell(ctx context.Context, change func(*wire.Report)) (t telling) {
	i.report.Seq++
	i.report.Time = time.Now().UTC()
	i.report.Numbers.Requests += 7
	i.report.Service.Confirmed, i.report.Data.Confirmed = i.report.Time, i.report.Time
	if t.news = change != nil; t.news {
		change(&i.report)
	}
	body, err := json.Marshal(i.report)
	if err != nil {
		return telling{err: err}
	}
	t.sent = time.Now()
	text, err := i.post(ctx, wire.PathReport, body)
	t.answered = time.Now()
	var a wire.Answer
	if err == nil {
		a, err = wire.ParseAnswer(text)
	}
	if t.err = err; err != nil {
		return t
	}
	i.told = i.report.Seq
	if t.news {
		i.toldNews = i.told
	}
	t.next = wire.Period(a.Next)
	if a.Wanted != nil {
		i.report.Generation = a.Wanted.Generation
	}
	return t
}
