package machine

import (
	"slices"
	"strings"
	"testing"
)

func TestSourceLines(t *testing.T) {
	targets := strings.Join([]string{
		"bookworm\thttp://mirror.test/debian/\tmain\t$(SIGNED_BY)",
		"bookworm\thttp://mirror.test/debian/\tmain\t$(SIGNED_BY)",
		"bookworm-security\thttp://mirror.test/security/\tmain\t/usr/share/keyrings/k.gpg",
		"bookwormish\thttp://mirror.test/other/\tmain\t$(SIGNED_BY)",
		"nodistro\thttp://elsewhere.test/\tmain\t$(SIGNED_BY)",
		"a line that is none",
	}, "\n") + "\n"
	want := []string{
		"deb [signed-by=/usr/share/keyrings/k.gpg] http://mirror.test/security/ bookworm-security main",
		"deb http://mirror.test/debian/ bookworm main",
	}
	if got := sourceLines(targets, "bookworm"); !slices.Equal(got, want) {
		t.Errorf("the sources are %q, want %q", got, want)
	}
}

func TestParseRelease(t *testing.T) {
	got := parseRelease([]byte("PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME='bookworm'\n"))
	if want := (release{"debian", "bookworm"}); got != want {
		t.Errorf("the release is %+v, want %+v", got, want)
	}
}

func TestRedact(t *testing.T) {
	got := redact("Err http://me:secret@mirror.test/debian bookworm, see https://mirror.test/a@b")
	if want := "Err http://mirror.test/debian bookworm, see https://mirror.test/a@b"; got != want {
		t.Errorf("redacted to %q, want %q", got, want)
	}
}

func TestImageRefusesWhatIsNoPackage(t *testing.T) {
	for _, name := range []string{"", "-y", "a b", "a,b", "../x.deb"} {
		_, err := BuildImage(t.Context(), ImageConfig{Suite: "bookworm", Packages: []string{name}, Cache: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "is not a name") {
			t.Errorf("package %q: %v", name, err)
		}
	}
	_, err := BuildImage(t.Context(), ImageConfig{Suite: "not-a-suite", Cache: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), `none is of the suite "not-a-suite"`) {
		t.Errorf("a suite nobody has: %v", err)
	}
}
