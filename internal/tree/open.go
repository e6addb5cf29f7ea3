package tree

import "os"

// Open opens a file that was written, or that Temp made, for reading. The caller
// closes it before the Writer is closed.
func (w *Writer) Open(name string) (*os.File, error) {
	clean, err := Clean(name)
	if err != nil {
		return nil, err
	}
	return w.here.open(clean)
}
