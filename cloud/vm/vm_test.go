package vm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"encoding/base64"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/machine"
	"popup/internal/wire"
)

var (
	_ console.Cloud        = (*Cloud)(nil)
	_ console.Identifier   = (*Cloud)(nil)
	_ console.Holder       = (*Cloud)(nil)
	_ console.VolumeKeeper = (*Cloud)(nil)
)

func TestCheckSaysWhatIsMissing(t *testing.T) {
	s := open(t)
	t.Setenv("PATH", t.TempDir())
	l := kepttest.Ask(t, "one")
	l.Architectures, l.Disk, l.Memory, l.Volume = []string{"riscv64"}, 1<<60, 1<<50, "vol-0123456789abcdef"
	l.UserData = append(l.UserData, bytes.Repeat([]byte("#\n"), 8<<10)...)
	err := s.Check(t.Context(), l)
	for _, want := range []string{"apt-get install qemu-system-x86", "apt-get install qemu-utils", "riscv64", "free space there", "MB of memory left", "at most 16384",
		"volume vol-0123456789abcdef that its state is on is not there"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v; want %q", err, want)
		}
	}
	if _, err := s.Launch(t.Context(), l); err == nil || len(s.All()) > 0 {
		t.Errorf("it was launched: %v", err)
	}
}

func TestFolderWithALongPath(t *testing.T) {
	if c, err := Open(Options{Dir: filepath.Join(t.TempDir(), strings.Repeat("long", 20))}); err == nil || !strings.Contains(err.Error(), "a shorter path") {
		t.Errorf("opened %v, %v", c, err)
	}
}

// signed is the proof that a machine's metadata service gives it.
func signed(t *testing.T, key, region string) wire.Identity {
	t.Helper()
	signer, err := machine.KeptIdentitySigner(key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	imds, err := machine.NewIMDS(machine.MetadataConfig{InstanceID: "i-0123456789abcdef0", Region: region, AllowV1: true, LaunchTime: time.Now(), Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.Handler(imds))
	defer server.Close()
	const dir = "/latest/dynamic/instance-identity/"
	return wire.Identity{Kind: wire.IdentityEC2, Document: []byte(kepttest.Get(server.URL + dir + "document")), Signature: []byte(kepttest.Get(server.URL + dir + "rsa2048"))}
}

func TestIdentify(t *testing.T) {
	s := open(t)
	key := filepath.Join(s.opts.Dir, keyName)
	if info, err := os.Stat(key); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key is %v, %v", info, err)
	}
	proof := signed(t, key, region)
	for _, when := range []string{"the console that made the key", "the next one"} {
		if id, err := s.Identify(t.Context(), proof); err != nil || id != "i-0123456789abcdef0" {
			t.Errorf("%s: it is %q, %v", when, id, err)
		}
		s.close()
		s.open()
	}
	changed := proof
	changed.Document = bytes.Replace(proof.Document, []byte("i-0123456789abcdef0"), []byte("i-0123456789abcdef1"), 1)
	cut := proof
	cut.Signature = []byte(base64.StdEncoding.EncodeToString([]byte("nothing")))
	for name, bad := range map[string]wire.Identity{
		"changed": changed, "unsigned": cut, "none": {},
		"another signer's":    signed(t, filepath.Join(t.TempDir(), "key"), region),
		"of another region's": signed(t, key, "us-east-1"),
	} {
		if id, err := s.Identify(t.Context(), bad); err == nil {
			t.Errorf("%s: it is taken for %q", name, id)
		}
	}
}
