package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSweepRemovesWhatIsHalfMadeAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{TempPrefix + "facts-1", TempPrefix + "x", "facts"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "facts" {
		t.Errorf("after a sweep there is %v (%v); want facts alone", left, err)
	}
}
