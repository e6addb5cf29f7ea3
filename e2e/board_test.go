package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// boardWords begin the last line of every page of the board.
const boardWords = "Board complete: data of "

// boardOf is that line when the board shows a day's tarball. It names the newest
// date on which something was tested, which may be before the tarball's own.
func boardOf(t *testing.T, day testutil.Day) string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(day.Tarball))
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if date, ok := strings.CutPrefix(path.Base(header.Name), "this_date_test_list_"); ok {
			newest = max(newest, strings.TrimSuffix(date, ".lst"))
		}
	}
	if newest == "" {
		t.Fatalf("nothing was tested in the tarball of %s", day.Name)
	}
	return boardWords + newest
}
