package machine

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/kdomanski/iso9660"
)

func TestNoCloudISO(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var iso bytes.Buffer
	// Not a multiple of a sector, and more than one.
	userData := bytes.Repeat([]byte("#cloud-config\n"), 1000)
	if err := NoCloudISO(&iso, userData, []byte("instance-id: one\n"), nil); err != nil {
		t.Fatal(err)
	}
	image, err := iso9660.OpenImage(bytes.NewReader(iso.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	label, err := image.Label()
	if err != nil || strings.TrimSpace(label) != "cidata" {
		t.Errorf("the volume is called %q (%v), cloud-init looks for cidata", label, err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	files, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		data, err := io.ReadAll(f.Reader())
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name()] = string(data)
	}
	if len(got) != 2 || got["user-data"] != string(userData) || got["meta-data"] != "instance-id: one\n" {
		t.Errorf("the image holds %d files: %v", len(got), got)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("user-data may hold secrets, and %v was left behind (%v)", left, err)
	}
}

func TestNoCloudISORefuses(t *testing.T) {
	for _, c := range []struct {
		user, meta []byte
		want       string
	}{
		{nil, nil, "the seed has no meta-data: it needs an instance-id at least"},
		{make([]byte, maxSeed+1), []byte("x"), "the seed's user-data has 1048577 bytes: at most 1048576 are allowed"},
	} {
		err := NoCloudISO(io.Discard, c.user, c.meta, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want %q", err, c.want)
		}
	}
}
