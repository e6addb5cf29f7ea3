package console

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// tryAgain is how long somebody has to wait before a try; 0: it was let through.
func tryAgain(t testing.TB, of *tries, name, from string, now time.Time) time.Duration {
	t.Helper()
	_, err := of.begin(name, network(from), now)
	var busy *BusyError
	if err != nil && (!errors.As(err, &busy) || busy.After <= 0) {
		t.Fatalf("the error is %v", err)
	}
	if busy == nil {
		return 0
	}
	return busy.After
}

func TestTriesOfAName(t *testing.T) {
	of, now := newTries(), aDay
	from := func(i int) string { return fmt.Sprintf("192.0.2.%d:4000", i) }
	for i := range 5 {
		if wait := tryAgain(t, of, "olga", from(i), now); wait != 0 {
			t.Fatalf("try %d waits %s", i, wait)
		}
	}
	if wait := tryAgain(t, of, "olga", from(6), now); wait != 12*time.Second {
		t.Errorf("the sixth waits %s", wait)
	}
	if wait := tryAgain(t, of, "otto", from(6), now); wait != 0 {
		t.Errorf("another name waits %s", wait)
	}
	now = now.Add(11 * time.Second)
	if wait := tryAgain(t, of, "olga", from(6), now); wait != time.Second {
		t.Errorf("after 11 s it waits %s", wait)
	}
	now = now.Add(time.Second)
	if wait := tryAgain(t, of, "olga", from(6), now); wait != 0 {
		t.Errorf("after 12 s it waits %s", wait)
	}
	if wait := tryAgain(t, of, "olga", from(6), now); wait != 12*time.Second {
		t.Errorf("then it waits %s", wait)
	}
	now = now.Add(time.Hour)
	for i := range 6 {
		if wait := tryAgain(t, of, "olga", from(10+i), now); (wait == 0) != (i < 5) {
			t.Errorf("after an hour, try %d waits %s", i, wait)
		}
	}
}

func TestTriesFromAnAddress(t *testing.T) {
	for name, addresses := range map[string][]string{
		"a port each":        {"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1", "192.0.2.1:99", "[::ffff:192.0.2.1]:5", "192.0.2.1:6"},
		"a network of IPv6":  {"[2001:db8::1]:1", "2001:db8::2", "[2001:db8::ffff:1]:1", "[2001:db8:0:0:9::]:1", "[2001:db8::5]:1", "[2001:db8::6]:1"},
		"a zone each":        {"fe80::1%a", "fe80::1%b", "fe80::1%c", "[fe80::1%d]:1", "fe80::1%e", "fe80::1%f"},
		"what is no address": {"", "unix", "@", "x, y", "192.0.2.1, 192.0.2.2", "999.0.0.1"},
	} {
		of := newTries()
		for i, from := range addresses {
			if wait := tryAgain(t, of, fmt.Sprint("name", i), from, aDay); (wait == 0) != (i < 5) {
				t.Errorf("%s: try %d, from %q, waits %s", name, i, from, wait)
			}
		}
		if wait := tryAgain(t, of, "another", "[2001:db8:0:1::1]:1", aDay); wait != 0 {
			t.Errorf("%s: another network waits %s", name, wait)
		}
	}
}

func TestTriesThatSucceedDoNotCount(t *testing.T) {
	of := newTries()
	for i := range 8 { // one person in many places
		one, err := of.begin("olga", fmt.Sprintf("198.51.100.%d", i), aDay)
		if err != nil {
			t.Fatalf("from the place %d: %v", i, err)
		}
		one.succeeded(aDay)
	}
	for i := range 40 { // a school behind one address, and a name that two share
		one, err := of.begin(fmt.Sprint("name", i%20), "192.0.2.1", aDay)
		if err != nil {
			t.Fatalf("the sign-in %d: %v", i, err)
		}
		one.succeeded(aDay)
	}
}

// TestNobodyIsLockedOut: others who try somebody's name do not keep them from where they
// signed in before.
func TestNobodyIsLockedOut(t *testing.T) {
	of := newTries()
	one, err := of.begin("olga", "192.0.2.1", aDay)
	if err != nil {
		t.Fatal(err)
	}
	one.succeeded(aDay)
	for i := range 8 {
		if wait := tryAgain(t, of, "olga", fmt.Sprintf("198.51.100.%d:1", i), aDay); (wait == 0) != (i < 5) {
			t.Errorf("the stranger's try %d waits %s", i, wait)
		}
	}
	for i := range 6 {
		if wait := tryAgain(t, of, "olga", "192.0.2.1:2", aDay); (wait == 0) != (i < 5) {
			t.Errorf("her try %d waits %s", i, wait)
		}
	}
}

// TestTriesAreBounded: whoever comes from many addresses with many names gets no tries
// back by it, and takes no more room.
func TestTriesAreBounded(t *testing.T) {
	of := newTries()
	for i := range 5 {
		tryAgain(t, of, "olga", fmt.Sprintf("192.0.2.%d", i), aDay)
	}
	for i := range triesMost + 2000 {
		one, err := of.begin(fmt.Sprint("name", i), network(fmt.Sprintf("2001:db8:%x:%x::1", i/1000, i%1000)), aDay.Add(time.Duration(i)*time.Millisecond/10))
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			one.succeeded(aDay)
		}
	}
	if len(of.names) > triesMost || len(of.addresses) > triesMost || len(of.known) > triesMost {
		t.Errorf("there are %d names, %d addresses, %d known", len(of.names), len(of.addresses), len(of.known))
	}
	if wait := tryAgain(t, of, "olga", "192.0.2.77", aDay); wait != 12*time.Second {
		t.Errorf("after a flood the name waits %s", wait)
	}
	of.names.room(aDay.Add(time.Hour))
	if len(of.names) > 1 {
		t.Errorf("%d that are full again were kept", len(of.names))
	}
}
