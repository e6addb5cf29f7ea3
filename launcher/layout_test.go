package launcher

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestCreateSaysWhatToTryWithoutRights(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // this thread alone becomes somebody without rights
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	err := layout{root: closed}.create()
	if err == nil || !strings.Contains(err.Error(), "run popup with sudo, or give --root a folder of your own") {
		t.Errorf("%v; want what to try", err)
	}
}
