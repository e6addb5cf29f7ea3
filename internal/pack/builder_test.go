package pack_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"

	"popup/internal/tree"
)

// A builder makes packs that git would not.
type builder struct {
	bytes.Buffer
	z     *zlib.Writer
	count uint32
}

func (b *builder) object(kind byte, size int, base, content []byte) (offset int) {
	offset = 12 + b.Len()
	first := kind<<4 | byte(size&0xf)
	for n := size >> 4; n > 0; n >>= 7 {
		b.WriteByte(first | 0x80)
		first = byte(n & 0x7f)
	}
	b.WriteByte(first)
	b.Write(base)
	if b.z == nil {
		b.z = zlib.NewWriter(nil)
	}
	b.z.Reset(&b.Buffer)
	_, _ = b.z.Write(content) // into memory
	_ = b.z.Close()
	b.count++
	return offset
}

func (b *builder) blob(content string) int { return b.object(3, len(content), nil, []byte(content)) }
func (b *builder) named(id tree.ID, delta []byte) int {
	return b.object(7, len(delta), id[:], delta)
}

func (b *builder) back(distance int, delta []byte) int {
	if distance > 127 {
		panic("too far for one byte")
	}
	return b.object(6, len(delta), []byte{byte(distance)}, delta)
}

func (b *builder) pack() []byte {
	out := append([]byte("PACK"), binary.BigEndian.AppendUint32([]byte{0, 0, 0, 2}, b.count)...)
	out = append(out, b.Bytes()...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

// add is a delta that appends to the whole of its base.
func add(base, more string) []byte {
	return append([]byte{byte(len(base)), byte(len(base) + len(more)), 0x90, byte(len(base)), byte(len(more))}, more...)
}

func build(fill func(*builder)) []byte {
	b := new(builder)
	fill(b)
	return b.pack()
}
