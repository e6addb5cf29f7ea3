package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A qmp speaks QEMU's control protocol over a connection: questions with their
// answers, and events whenever they happen. It may be used by several
// goroutines at once.
type qmp struct {
	conn    net.Conn
	onEvent func(event string, guest bool)
	ended   chan struct{} // closed when nothing more comes
	err     error         // after ended: why

	mu      sync.Mutex
	asked   int
	waiting map[int]chan qmpMessage // by the question's number; room for one answer
}

type qmpMessage struct {
	ID    int `json:"id"`
	Error *struct {
		Description string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Guest bool `json:"guest"` // the guest wanted it, not we
	} `json:"data"`
}

// newQMP greets the machine. OnEvent is called from one goroutine, for each
// event, until ended is closed. The caller closes the connection.
func newQMP(ctx context.Context, conn net.Conn, onEvent func(event string, guest bool)) (*qmp, error) {
	q := &qmp{conn: conn, onEvent: onEvent, ended: make(chan struct{}), waiting: map[int]chan qmpMessage{}}
	go q.listen()
	if err := q.do(ctx, "qmp_capabilities", nil); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *qmp) listen() {
	defer close(q.ended)
	lines := json.NewDecoder(q.conn)
	for {
		var m qmpMessage
		if q.err = lines.Decode(&m); q.err != nil {
			return
		}
		if m.Event != "" {
			q.onEvent(m.Event, m.Data.Guest)
			continue
		}
		q.mu.Lock()
		answer := q.waiting[m.ID]
		delete(q.waiting, m.ID)
		q.mu.Unlock()
		if answer != nil { // the greeting answers nobody
			answer <- m
		}
	}
}

// do has a command carried out. Arguments are what it takes; nil: none.
func (q *qmp) do(ctx context.Context, command string, arguments map[string]any) error {
	answer := make(chan qmpMessage, 1)
	q.mu.Lock()
	q.asked++
	id := q.asked
	q.waiting[id] = answer
	ask := map[string]any{"execute": command, "id": id}
	if arguments != nil {
		ask["arguments"] = arguments
	}
	question, err := json.Marshal(ask)
	if err == nil {
		_, err = q.conn.Write(append(question, '\n'))
	}
	q.mu.Unlock()
	if err != nil {
		return fmt.Errorf("ask for %s: %w", command, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("ask for %s: %s", command, m.Error.Description)
		}
		return nil
	case <-q.ended:
		if errors.Is(q.err, io.EOF) {
			return fmt.Errorf("ask for %s: the machine has ended", command)
		}
		return fmt.Errorf("ask for %s: %w", command, q.err)
	case <-ctx.Done():
		return fmt.Errorf("ask for %s: %w", command, ctx.Err())
	}
}
