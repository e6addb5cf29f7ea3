package kept

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// Downloads hands popup to machines that have nothing of it yet.
type Downloads struct {
	server *http.Server
	done   chan struct{}
}

// Offer answers DownloadsURL with a program, whatever below /download/ is asked for: who
// asks knows its sum. Empty: the one that runs, also where another has its name by now.
// The caller closes what it returns.
func (w Way) Offer(program string) (*Downloads, error) {
	program = cmp.Or(program, "/proc/self/exe")
	listener, err := w.listen(downloadsSocket)
	if err != nil {
		return nil, fmt.Errorf("offer popup to the machines: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /download/{sum}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeFile(w, r, program)
	})
	d := &Downloads{server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		_ = d.server.Serve(listener) // ErrServerClosed, by Close
	}()
	return d, nil
}

// Close ends it; downloads under way are tried again by who wants them. Closing twice is fine.
func (d *Downloads) Close() error {
	err := d.server.Close()
	<-d.done
	return err
}
