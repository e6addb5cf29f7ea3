package peers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/wire"
)

const (
	// mostTaken is how many archives are taken at once, of all consoles.
	mostTaken = 8
	// turnTime is how long one waits for its turn before its sender asks another console.
	turnTime = 10 * time.Second
)

// A Served is what a console has for the others.
type Served struct {
	Archives *console.Archives
	// Binaries are the files that instances download, by the SHA-256 of each in hex.
	Binaries map[string]string
	// Logs is Console.SentLog.
	Logs func(instance, command string) ([]byte, error)
	Log  *slog.Logger
}

// Handler answers the other consoles. Whoever reaches it is one of them.
func (s Served) Handler() http.Handler {
	h := handler{s, make(chan struct{}, mostTaken)}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+vaultPath+"{name}", h.answer(h.put))
	mux.HandleFunc("HEAD "+vaultPath+"{name}", h.answer(h.has))
	mux.HandleFunc("GET "+vaultPath+"{name}", h.answer(h.get))
	mux.HandleFunc("DELETE "+vaultPath+"{name}", h.answer(h.remove))
	mux.HandleFunc("GET "+vaultPath+"{$}", h.answer(h.list))
	mux.HandleFunc("GET "+downloadPath+"{sum}", h.answer(h.download))
	mux.HandleFunc("GET "+logPath+"{instance}/{command}", h.answer(h.sentLog))
	return mux
}

type handler struct {
	Served
	turns chan struct{}
}

// answer says no where fn does, and only in words of the console's.
func (h handler) answer(fn func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := fn(w, r)
		var input *console.InputError
		var busy *console.BusyError
		switch {
		case err == nil:
		case errors.Is(err, archive.ErrNotFound), errors.Is(err, console.ErrNotFound):
			http.NotFound(w, r)
		case errors.As(err, &input):
			http.Error(w, input.Error(), http.StatusUnprocessableEntity)
		case errors.As(err, &busy):
			http.Error(w, busy.Error(), http.StatusServiceUnavailable)
		default:
			h.Log.Warn("answer another console", "method", r.Method, "path", r.URL.Path, "err", err)
			http.Error(w, "it did not work; its log says why", http.StatusInternalServerError)
		}
	}
}

// announced is what is said of an archive beside its bytes.
func announced(r *http.Request) (name string, size int64, sum []byte, err error) {
	sum, err = wire.ParseDigest(r.Header.Get(wire.HeaderDigest))
	if err == nil {
		size, err = strconv.ParseInt(r.Header.Get(headerSize), 10, 64)
	}
	if err != nil {
		err = &console.InputError{Fields: []console.FieldError{{Field: "archive", Message: "its size or its SHA-256 is missing"}}}
	}
	return r.PathValue("name"), size, sum, err
}

func (h handler) put(w http.ResponseWriter, r *http.Request) error {
	name, size, sum, err := announced(r)
	if err != nil {
		return err
	}
	leave, err := h.turn(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	if err := h.Archives.Keep(r.Context(), name, size, sum, &patient{r.Body, http.NewResponseController(w)}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// turn waits until one more archive may be taken.
func (h handler) turn(ctx context.Context) (leave func(), err error) {
	late := time.NewTimer(turnTime)
	defer late.Stop()
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-late.C:
		return nil, &console.BusyError{Reason: "too many backups come at once", After: turnTime}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// patient reads what may take its time, as long as something comes.
type patient struct {
	io.Reader
	control *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(stallTime)) // what has none needs none
	n, err := p.Reader.Read(b)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// has says whether these very bytes are here.
func (h handler) has(w http.ResponseWriter, r *http.Request) error {
	name, size, sum, err := announced(r)
	if err != nil {
		return err
	}
	is, err := h.Archives.Has(r.Context(), name, size, sum)
	if err == nil && !is {
		err = archive.ErrNotFound
	}
	return err
}

func (h handler) get(w http.ResponseWriter, r *http.Request) error {
	file, err := h.Archives.Own().Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, file); err != nil {
		panic(http.ErrAbortHandler) // so that half of it is not taken for all
	}
	return nil
}

func (h handler) remove(w http.ResponseWriter, r *http.Request) error {
	if err := h.Archives.Own().Delete(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h handler) list(w http.ResponseWriter, r *http.Request) error {
	items, err := h.Archives.Own().List(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(items)
}

func (h handler) download(w http.ResponseWriter, r *http.Request) error {
	path, ok := h.Binaries[r.PathValue("sum")]
	if !ok {
		return archive.ErrNotFound
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

// sentLog answers with a log that an instance sent here, as it is.
func (h handler) sentLog(w http.ResponseWriter, r *http.Request) error {
	body, err := h.Logs(r.PathValue("instance"), r.PathValue("command"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/gzip")
	_, _ = w.Write(body) // who asked hears that it broke off
	return nil
}
