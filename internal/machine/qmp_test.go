package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// fakeQEMU greets, and answers each question with the next of the answers, in
// which %d becomes the question's number. Then it hangs up.
func fakeQEMU(t *testing.T, answers ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		fmt.Fprintln(theirs, `{"QMP": {"version": {}, "capabilities": []}}`)
		questions := bufio.NewReader(theirs)
		for i, answer := range append([]string{`{"return": {}, "id": %d}`}, answers...) {
			if _, err := questions.ReadString('\n'); err != nil {
				return
			}
			fmt.Fprintln(theirs, strings.ReplaceAll(answer, "%d", fmt.Sprint(i+1)))
		}
		_, _ = questions.ReadString('\n')
		noError(t, theirs.Close())
	}()
	t.Cleanup(func() { noError(t, ours.Close()) })
	return ours
}

func TestQMP(t *testing.T) {
	var events []string
	conn := fakeQEMU(t,
		`{"event": "RESET", "data": {"guest": true}} {"return": {}, "id": %d}`,
		`{"error": {"class": "CommandNotFound", "desc": "no such command"}, "id": %d}`,
		`{"return": {}, "id": 99}`)
	q, err := newQMP(t.Context(), conn, func(event string, guest bool) { events = append(events, fmt.Sprint(event, guest)) })
	if err != nil {
		t.Fatal(err)
	}
	if err := q.do(t.Context(), "system_reset", nil); err != nil || fmt.Sprint(events) != "[RESETtrue]" {
		t.Errorf("the reset: %v, events %v", err, events)
	}
	if err := q.do(t.Context(), "nonsense", nil); err == nil || err.Error() != "ask for nonsense: no such command" {
		t.Errorf("a command that does not exist: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.do(ctx, "stop", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an answer nobody waits for: %v", err)
	}
	if err := q.do(t.Context(), "quit", nil); err == nil || err.Error() != "ask for quit: the machine has ended" {
		t.Errorf("after its end: %v", err)
	}
}
