package front

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// heldInMemory is how much of a body is kept in memory; more goes to a file.
const heldInMemory = 64 << 10

// errBodyRead says that the client did not send what it announced.
var errBodyRead = errors.New("read request body")

// A heldBody is a request's body, taken whole.
type heldBody struct {
	io.Reader
	size int64
	file *os.File // nil: in memory
}

func (b *heldBody) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// holdBody takes a request's body of at most limit bytes. Above that the error
// is a *http.MaxBytesError.
func holdBody(w http.ResponseWriter, r *http.Request, limit int64, dir string) (*heldBody, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if r.Body == nil || r.ContentLength == 0 {
		return &heldBody{Reader: http.NoBody}, nil
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	var head bytes.Buffer
	if _, err := io.CopyN(&head, body, heldInMemory); err == io.EOF {
		return &heldBody{Reader: &head, size: int64(head.Len())}, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", errBodyRead, err)
	}
	return holdInFile(&head, body, dir)
}

// holdInFile puts the body into a file without a name: it is gone when closed.
func holdInFile(head *bytes.Buffer, rest io.Reader, dir string) (*heldBody, error) {
	f, err := os.CreateTemp(dir, "popup-body-")
	if err != nil {
		return nil, fmt.Errorf("hold request body: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("hold request body: %w", err), f.Close())
	}
	size := int64(head.Len())
	src := &readErrors{r: rest}
	_, err = f.Write(head.Bytes())
	if err == nil {
		var n int64
		n, err = io.Copy(f, src)
		size += n
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		kind := errors.New("hold request body")
		if src.err != nil {
			kind = errBodyRead
		}
		return nil, errors.Join(fmt.Errorf("%w: %w", kind, err), f.Close())
	}
	return &heldBody{Reader: f, size: size, file: f}, nil
}

// readErrors keeps apart what the client did from what the disk did.
type readErrors struct {
	r   io.Reader
	err error
}

func (e *readErrors) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF {
		e.err = err
	}
	return n, err
}
