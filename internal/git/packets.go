package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The protocol is a row of packets: four hex digits say how long one is, those
// digits included, and lengths below four separate.
type packetKind int

const (
	flushPacket packetKind = iota
	delimPacket
	endPacket
	dataPacket
)

const longestPacket = 65520

var (
	errGarbled = errors.New("the server's answer is not git's protocol")
	errCutOff  = fmt.Errorf("the server's answer was cut off: %w", io.ErrUnexpectedEOF)
)

// A saidError is what the server says in words, in the place of an answer.
type saidError struct{ words string }

func (e *saidError) Error() string { return fmt.Sprintf("the server said %q", e.words) }

// said makes an error of a server's words, of which only the first are believed.
func said(words []byte) error {
	text := strings.TrimSpace(string(words[:min(len(words), 1000)]))
	if strings.Contains(text, "not our ref") {
		return errNotOurs
	}
	return &saidError{text}
}

// packets reads packets.
type packets struct {
	from *bufio.Reader
	buf  []byte
}

func newPackets(from io.Reader) *packets {
	return &packets{from: bufio.NewReaderSize(from, 16<<10)}
}

// length reads the four digits. The error is io.EOF where nothing comes any more.
func (p *packets) length() (packetKind, int, error) {
	var digits [4]byte
	if _, err := io.ReadFull(p.from, digits[:]); err == io.EOF {
		return 0, 0, err
	} else if err != nil {
		return 0, 0, cut(err)
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	switch {
	case err != nil, n == 3, n > longestPacket:
		return 0, 0, errGarbled
	case n < 3:
		return packetKind(n), 0, nil
	}
	return dataPacket, int(n) - 4, nil
}

// next reads a packet; what is returned holds until the next one is read. A packet
// that says what went wrong is an error.
func (p *packets) next() (packetKind, []byte, error) {
	kind, n, err := p.length()
	if err != nil || kind != dataPacket {
		return kind, nil, err
	}
	if cap(p.buf) < n {
		p.buf = make([]byte, max(n, 512))
	}
	line := p.buf[:n]
	if _, err := io.ReadFull(p.from, line); err != nil {
		return 0, nil, cut(err)
	}
	if words, ok := bytes.CutPrefix(line, []byte("ERR ")); ok {
		return 0, nil, said(words)
	}
	return kind, line, nil
}

// line reads a packet of text, without its line break.
func (p *packets) line() (packetKind, string, error) {
	kind, data, err := p.next()
	return kind, strings.TrimSuffix(string(data), "\n"), err
}

// appendPacket adds a packet of text, which must be shorter than a packet can be.
func appendPacket(to []byte, text string) []byte {
	return fmt.Appendf(to, "%04x%s", len(text)+4, text)
}

// A band reads the pack out of packets whose first byte says what they hold: the
// pack, words for people, or why there is no more of it.
type band struct {
	packets *packets
	left    int // of the packet that is being read
	err     error
}

func (b *band) Read(p []byte) (n int, err error) {
	for b.left == 0 && b.err == nil {
		b.err = b.advance()
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err = b.packets.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err == io.EOF {
		err = errCutOff
	}
	if err != nil {
		b.err = err
	}
	return n, err
}

// advance reads the beginning of the next packet.
func (b *band) advance() error {
	kind, n, err := b.packets.length()
	switch {
	case err == io.EOF:
		return errCutOff
	case err != nil:
		return err
	case kind == flushPacket:
		return io.EOF
	case kind != dataPacket || n == 0:
		return errGarbled
	}
	channel, err := b.packets.from.ReadByte()
	if err != nil {
		return cut(err)
	}
	switch channel {
	case 1:
		b.left = n - 1
		return nil
	case 2:
		_, err = b.packets.from.Discard(n - 1)
		return cut(err)
	case 3:
		words := make([]byte, n-1)
		if _, err = io.ReadFull(b.packets.from, words); err != nil {
			return cut(err)
		}
		return said(words)
	}
	return errGarbled
}

// cut says of an end that it came too early.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCutOff
	}
	return err
}
