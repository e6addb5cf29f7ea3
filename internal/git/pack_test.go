package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"popup/internal/tree"
)

// packOf makes a pack of one object whose header says size.
func packOf(kind byte, size uint64, content []byte) []byte {
	var out bytes.Buffer
	out.WriteString("PACK")
	_ = binary.Write(&out, binary.BigEndian, []uint32{2, 1})
	first := kind<<4 | byte(size&0xf)
	for size >>= 4; size > 0; size >>= 7 {
		out.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	out.WriteByte(first)
	if kind == 7 {
		out.Write(make([]byte, 20)) // a delta against an object that is elsewhere
	}
	z := zlib.NewWriter(&out)
	_, _ = z.Write(content)
	_ = z.Close()
	sum := sha1.Sum(out.Bytes())
	out.Write(sum[:])
	return out.Bytes()
}

func openPackFile(t testing.TB, pack []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pack")
	if err := os.WriteFile(path, pack, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = openPack(f, tree.Limits{Bytes: 1 << 20, Files: 100})
	return err
}

// A pack is refused for what it says it unpacks to, before it is unpacked.
func TestPackBombs(t *testing.T) {
	huge := []byte{0x05, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08} // a delta: from 5 bytes, to 2^38
	many := packOf(3, 1, []byte("x"))
	binary.BigEndian.PutUint32(many[8:], 1<<31)
	for name, pack := range map[string][]byte{
		"blob": packOf(3, 1<<40, []byte("x")), "delta": packOf(7, uint64(len(huge)), huge), "count": many,
	} {
		t.Run(name, func(t *testing.T) {
			var limit *tree.LimitError
			if err := openPackFile(t, pack); !errors.As(err, &limit) {
				t.Errorf("got %v; want a limit", err)
			}
		})
	}
	if err := openPackFile(t, packOf(3, 1, []byte("x"))); err != nil {
		t.Errorf("a pack of one byte: %v", err)
	}
}

func FuzzPack(f *testing.F) {
	f.Add(packOf(3, 1, []byte("x")))
	f.Add(packOf(1, 0, nil))
	f.Add(packOf(7, 3, []byte{1, 1, 0}))
	f.Add([]byte("PACK"))
	f.Fuzz(func(t *testing.T, pack []byte) {
		if err := openPackFile(t, pack); err == nil && !bytes.HasPrefix(pack, []byte("PACK")) {
			t.Error("that is no pack")
		}
	})
}
