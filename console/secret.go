package console

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

// Whoever has a secret is let in: sessions, API tokens, links. It is 256 bits of chance
// and their checksum, written in lower-case letters and digits; only its hash is kept.
const (
	secretBytes   = 32
	secretLetters = 58
	// tokenPrefix begins API tokens, so that scanners for secrets know them where
	// somebody commits one.
	tokenPrefix = "popup_"
)

var secretEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newSecret makes one, and what is kept of it.
func newSecret() (secret string, hash []byte) {
	b := make([]byte, secretBytes, secretBytes+crc32.Size)
	_, _ = rand.Read(b) // it never fails
	sum := sha256.Sum256(b)
	return strings.ToLower(secretEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)))), sum[:]
}

// hashSecret is what is kept of a secret. What never was one is not ok, whatever is kept.
func hashSecret(text string) (hash []byte, ok bool) {
	if len(text) != secretLetters {
		return nil, false
	}
	b, err := secretEncoding.DecodeString(strings.ToUpper(text))
	if err != nil || len(b) != secretBytes+crc32.Size ||
		crc32.ChecksumIEEE(b[:secretBytes]) != binary.BigEndian.Uint32(b[secretBytes:]) {
		return nil, false
	}
	sum := sha256.Sum256(b[:secretBytes])
	return sum[:], true
}

// hashName is the name under which the store has what belongs to a secret.
func hashName(hash []byte) string { return hex.EncodeToString(hash) }
