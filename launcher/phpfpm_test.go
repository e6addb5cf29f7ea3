package launcher

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestMissingPHPSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := phpFPM(t.TempDir())
	const want = "this app is served by PHP and php-fpm is not installed; list it in app.yaml under packages (apt: [php-fpm]), or install it"
	if !errors.Is(err, errNoPHP) || err.Error() != want {
		t.Errorf("without php-fpm: %v; want %q", err, want)
	}
	if !machineFault(err) {
		t.Error("a release is refused for good because php-fpm is missing")
	}
}

func TestNewestPHPIsTaken(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	sbin := t.TempDir()
	for _, name := range []string{"php-fpm8.10", "php-fpm8.9", "php-fpm8.2"} {
		write(t, filepath.Join(sbin, name), "")
	}
	if path, err := phpFPM(sbin); err != nil || filepath.Base(path) != "php-fpm8.10" {
		t.Errorf("found %s (%v); want php-fpm8.10", path, err)
	}
}
