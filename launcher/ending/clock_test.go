package ending

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// origin serves a date that is ahead of the real one, on a loopback address of its own.
func origin(t *testing.T, ip string, ahead time.Duration, header ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead || r.URL.Path != "/" || r.Header.Get("Authorization") != "" {
				t.Errorf("was asked %s %s with authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
			}
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusMovedPermanently)
		}),
	}}
	server.Start()
	t.Cleanup(server.Close)
	return "http://user:password@" + listener.Addr().String() + "/some/repository.git"
}

func systemClock(synchronised bool, origins ...string) SystemClock {
	return SystemClock{Origins: origins, synchronised: func() (bool, error) { return synchronised, nil }}
}

func TestSynchronisedClockAsksNobody(t *testing.T) {
	got, err := systemClock(true, "http://127.0.0.1:1/", "http://127.0.0.2:1/").Confirm(t.Context())
	if err != nil || !got.OK || got.By != "time synchronisation" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTwoDatesConfirm(t *testing.T) {
	clock := systemClock(false, "git@example.org:a.git", origin(t, "127.0.0.1", 0), origin(t, "127.0.0.2", 30*time.Second))
	got, err := clock.Confirm(t.Context())
	if err != nil || !got.OK || got.By != "the clocks of 127.0.0.1 and 127.0.0.2" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDateOfACacheIsAsOldAsItSays(t *testing.T) {
	clock := systemClock(false, origin(t, "127.0.0.1", -time.Hour, "Age", "3600"), origin(t, "127.0.0.2", 0))
	if got, err := clock.Confirm(t.Context()); err != nil || !got.OK {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDatesThatAgreeAgainstTheClock(t *testing.T) {
	const years = 3 * 365 * 24 * time.Hour
	clock := systemClock(false, origin(t, "127.0.0.1", -years), origin(t, "127.0.0.2", -years+20*time.Second))
	got, err := clock.Confirm(t.Context())
	if err != nil || got.OK {
		t.Fatalf("got %+v, %v", got, err)
	}
	if text := offText(got.Offset) + " " + got.By; text != "3 years ahead of the clocks of 127.0.0.1 and 127.0.0.2" &&
		text != "2 years ahead of the clocks of 127.0.0.1 and 127.0.0.2" { // a second short of three
		t.Errorf("it is %s", text)
	}
}

func TestClockThatCannotBeCompared(t *testing.T) {
	right, wrong := origin(t, "127.0.0.1", 0), origin(t, "127.0.0.2", -time.Hour)
	undated := origin(t, "127.0.0.3", 0, "Date", "yesterday")
	for name, test := range map[string]struct {
		origins []string
		want    string
	}{
		"no origin":    {nil, "the clock is not synchronised by NTP, and there are no two hosts whose dates it could be compared with"},
		"one host":     {[]string{right, right}, "the clock is not synchronised by NTP, and there are no two hosts whose dates it could be compared with"},
		"disagreement": {[]string{right, wrong}, "the clock is not synchronised by NTP, and the clocks of 127.0.0.1 and 127.0.0.2 do not agree with each other"},
		"no date":      {[]string{right, undated}, "two hosts with a date could not be reached: ask 127.0.0.3"},
		"no answer":    {[]string{right, "http://127.0.0.4:1/"}, "two hosts with a date could not be reached: ask 127.0.0.4:1"},
	} {
		got, err := systemClock(false, test.origins...).Confirm(t.Context())
		if got.OK || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v\nwant an error with: %s", name, got, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "password") {
			t.Errorf("%s: the error tells a password: %v", name, err)
		}
	}
}

// The console's word is enough alone; what it says against the clock, two origins outvote.
func TestConsoleConfirmsTheClock(t *testing.T) {
	says := func(ahead time.Duration, err error) func(context.Context) (time.Duration, error) {
		return func(context.Context) (time.Duration, error) { return ahead, err }
	}
	right := []string{origin(t, "127.0.0.1", 0), origin(t, "127.0.0.2", 0)}
	for name, test := range map[string]struct {
		console func(context.Context) (time.Duration, error)
		origins []string
		want    Confirmation
		err     string // in the error; empty: none
	}{
		"right":              {says(-59*time.Second, nil), nil, Confirmation{true, "the clock of the console", -59 * time.Second}, ""},
		"wrong":              {says(time.Hour, nil), nil, Confirmation{false, "the clock of the console", time.Hour}, ""},
		"behind":             {says(-61*time.Second, nil), nil, Confirmation{false, "the clock of the console", -61 * time.Second}, ""},
		"wrong, and two not": {says(time.Hour, nil), right, Confirmation{OK: true, By: "the clocks of 127.0.0.1 and 127.0.0.2"}, ""},
		"away":               {says(0, errors.New("no answer")), nil, Confirmation{}, "could be compared with; ask the console for its date: no answer"},
		"away, and two here": {says(0, errors.New("no answer")), right, Confirmation{OK: true, By: "the clocks of 127.0.0.1 and 127.0.0.2"}, ""},
	} {
		clock := systemClock(false, test.origins...)
		clock.Console = test.console
		got, err := clock.Confirm(t.Context())
		if len(test.origins) > 0 {
			got.Offset = 0 // as the second falls
		}
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestExpiredCertificateIsSaidToBeTheClock(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Time = func() time.Time { return time.Now().AddDate(500, 0, 0) }
	clock := systemClock(false, server.URL, origin(t, "127.0.0.2", 0))
	clock.HTTPClient = client
	_, err := clock.Confirm(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate is not valid by this machine's clock, which may be wrong") {
		t.Errorf("got %v", err)
	}
}

func TestKernelThatDoesNotSay(t *testing.T) {
	clock := SystemClock{synchronised: func() (bool, error) { return false, unix.EPERM }}
	if _, err := clock.Confirm(t.Context()); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want the kernel's reason in it", err)
	}
}

func TestKernelState(t *testing.T) {
	for _, test := range []struct {
		status   int32
		maxError int64 // microseconds
		want     bool
	}{
		{unix.STA_PLL, 500_000, true},
		{unix.STA_PLL | unix.STA_UNSYNC, 500_000, false},
		{unix.STA_PLL, 12_000_000, false},
	} {
		if got := synchronisedState(&unix.Timex{Status: test.status, Maxerror: test.maxError}); got != test.want {
			t.Errorf("status %#x, error %d us: %v, want %v", test.status, test.maxError, got, test.want)
		}
	}
	if _, err := kernelSynchronised(); err != nil {
		t.Errorf("ask the kernel: %v", err)
	}
}
