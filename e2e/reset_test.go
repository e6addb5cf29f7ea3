//go:build vm

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/machine"
)

// publishing is what the machine does besides: it looks what a reset left of the
// published revisions, tells us, and then asks for new data without a pause.
const publishing = `cat >/usr/local/bin/publish <<'E'
#!/bin/sh
until curl -sf http://127.0.0.1/days/sums >/dev/null; do sleep 0.5; done
sync # what was installed is not what is tested
cd /var/lib/popup/data
for d in ????????????????????????????????????????; do
 (cd $d && sha256sum --quiet -c sums) >/dev/null 2>&1 || [ ! -d $d ] || bad="$bad $d $(cd $d && ls -l)"
done
damaged=$(popup status --json | tr -d '\n' | grep -o '"event": *"damaged"[^}]*')
curl -sS --data-binary "$(cat /proc/sys/kernel/random/boot_id)
$bad
$damaged" URL/said
while :; do popup sync >/dev/null 2>&1 || sleep 1; done
E
chmod 755 /usr/local/bin/publish
cat >/etc/systemd/system/publish.service <<'E'
[Service]
ExecStart=/usr/local/bin/publish
[Install]
WantedBy=multi-user.target
E
systemctl -q enable publish
systemctl --no-block start publish
`

const daysManifest = `manifest_version: 1
id: days
name: Days
serve: {type: static}
data:
  repository: https://data.example.org/given-by-flag.git
  mount: days
  sync: {schedule: "@every 1h"}
`

// dayFiles are those of a day: some change each day, some now and then, one never.
func dayFiles(day int) map[string]string {
	files, sums := map[string]string{}, ""
	for n, every := range []int{1, 1, 1, 3, 10, 1 << 20} {
		name := fmt.Sprint("file", n)
		text := make([]byte, 64<<10+n*20_000)
		_, _ = rand.NewChaCha8([32]byte{byte(n), byte(day / every), byte(day / every >> 8)}).Read(text)
		files[name] = string(text)
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(text), name)
	}
	files["day"] = fmt.Sprint("day ", day, "\n")
	files["sums"] = sums + fmt.Sprintf("%x  day\n", sha256.Sum256([]byte(files["day"])))
	return files
}

// servedDay reads all that is served, and says of which day it is. Files of two days
// are an error only when the day did not change meanwhile.
func servedDay(ctx context.Context, url string) (int, error) {
	for {
		before, err := get(ctx, url+"/days/day")
		if err != nil {
			return 0, err
		}
		day, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(before, "day ")))
		if err != nil {
			return 0, fmt.Errorf("the day is %q", before)
		}
		wrong := ""
		for name, want := range dayFiles(day) {
			got, err := get(ctx, url+"/days/"+name)
			if err != nil {
				return 0, err
			}
			if got != want {
				wrong += fmt.Sprintf(" %s has %d bytes, and is not that of day %d (%d zeros);", name, len(got), day, strings.Count(got, "\x00"))
			}
		}
		after, err := get(ctx, url+"/days/day")
		switch {
		case err != nil:
			return 0, err
		case after != before:
			continue
		case wrong != "":
			return 0, brokenDay(wrong)
		}
		return day, nil
	}
}

type brokenDay string

func (b brokenDay) Error() string { return "what is served is broken:" + string(b) }

// reports are what the machine said after each start.
type reports struct {
	mu   sync.Mutex
	said []string
}

func (r *reports) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	text, _ := io.ReadAll(req.Body) // half of a report is none
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, string(text))
}

// after is the report of the start that follows n others.
func (r *reports) after(n int) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < len(r.said) {
		return r.said[n], true
	}
	return "", false
}

// A machine with a journalled ext4 that is reset while it publishes, which loses what it
// had not written yet, serves one whole day after each start, and then the newest.
// N is the number of resets: 2 unless the environment says more.
func TestVMResetWhilePublishing(t *testing.T) {
	t.Parallel()
	resets := 2
	if text := os.Getenv("N"); text != "" {
		var err error
		if resets, err = strconv.Atoi(text); err != nil {
			t.Fatalf("N=%s is not a number", text)
		}
	}
	s := newSite(t, "127.0.0.1", machine.HostFromNoCloud)
	s.service.Commit(map[string]string{"app.yaml": daysManifest, "index.html": "welcome"})
	newest := 0
	commit := func() { newest++; s.data.Commit(dayFiles(newest)) }
	commit()
	said := &reports{}
	s.mux.Handle("/said", said)
	script := s.userData("--data", s.dataURL())
	head, rest, _ := bytes.Cut(script, []byte("\n"))
	script = slices.Concat(head, []byte("\n"+strings.ReplaceAll(publishing, "URL", s.url)), rest)
	v, url := launchVM(t, machine.VMConfig{Name: "reset", UserData: script, CPUs: 1})
	starts, damaged := 0, 0
	started := func(within time.Duration) {
		t.Helper()
		began, first := time.Now(), 0
		await(t, within, "a whole day is served", func() (err error) { first, err = servedDay(t.Context(), url); return err })
		report := ""
		await(t, time.Minute, "the machine says how it is", func() error {
			text, ok := said.after(starts)
			if report = text; !ok {
				return fmt.Errorf("nothing was said after %d starts", starts)
			}
			return nil
		})
		starts++
		lines := append(strings.SplitN(report, "\n", 3), "", "")
		if lines[1] != "" {
			t.Errorf("start %d: published revisions are broken: %s", starts, report)
		}
		if n := strings.Count(lines[2], `"damaged"`); n > damaged {
			t.Logf("start %d: the journal has %d notes of what was damaged: %s", starts, n, lines[2])
			damaged = n
		}
		await(t, time.Minute, "the newest is served", func() error {
			day, err := servedDay(t.Context(), url)
			if err == nil && day != newest {
				err = fmt.Errorf("day %d is served, and %d is the newest", day, newest)
			}
			return err
		})
		t.Logf("start %d: day %d of %d after %v", starts, first, newest, time.Since(began).Round(time.Second))
	}
	started(vmBoot)
	for range resets {
		for end := time.Now().Add(2*time.Second + rand.N(8*time.Second)); time.Now().Before(end); {
			commit()
			select {
			case <-time.After(min(rand.N(1500*time.Millisecond), time.Until(end))):
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			}
		}
		if err := v.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		started(vmBoot)
	}
	t.Logf("%d resets, %d days, %d notes of what was damaged", resets, newest, damaged)
}

// await tries until there is no error. What is broken does not become whole.
func await(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	eventually(t, within, what, func() error {
		err := try()
		if _, broken := err.(brokenDay); broken {
			t.Fatalf("%s: %v", what, err)
		}
		return err
	})
}
