package console

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"

	"popup/internal/atomicfile"
)

// Keys seal the secrets that the store keeps. They are made of one secret, which lies in
// a file of its own, outside the store and its backups: whoever has only one of the two
// has nothing. They may be used by several goroutines.
type Keys struct {
	seal   cipher.AEAD
	derive []byte
	path   string
}

// The key file is one line of base64: a version and the secret. What is sealed begins
// with the same version, so that another way of sealing may follow.
const (
	keyVersion = 1
	keyBytes   = 32
	keyMost    = 1000 // of the file; ours is far shorter
)

// OpenKeys reads the key file at path, or makes it where there is none. A file that
// others of this machine may read is refused.
func OpenKeys(path string) (*Keys, error) {
	secret, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path); err != nil {
			return nil, fmt.Errorf("make the key file: %w", err)
		}
		secret, err = readKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	return newKeys(secret, path)
}

func newKeys(secret []byte, path string) (*Keys, error) {
	part := func(purpose string) ([]byte, error) { return hkdf.Key(sha256.New, secret, nil, purpose, keyBytes) }
	sealing, err := part("popup console: seal")
	if err != nil {
		return nil, err
	}
	deriving, err := part("popup console: derive")
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		return nil, err
	}
	return &Keys{seal: aead, derive: deriving, path: path}, nil
}

func readKey(path string) (secret []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("others may read or write %s, and it opens every secret of this console: run chmod 600 %s", path, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, keyMost))
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	switch {
	case err != nil || len(key) == 0 || key[0] == 0 || key[0] == keyVersion && len(key) != 1+keyBytes:
		return nil, fmt.Errorf("%s is no key file, or it is damaged: put back the one that was kept beside the backups", path)
	case key[0] != keyVersion:
		return nil, fmt.Errorf("%s is of a newer popup: start that one", path)
	}
	return key[1:], nil
}

// makeKey puts a new secret at path, where there is none. Of two who do so at once, both
// go on with the same one.
func makeKey(path string) error {
	key := make([]byte, 1+keyBytes)
	key[0] = keyVersion
	_, _ = rand.Read(key[1:]) // it never fails
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	temp := filepath.Join(filepath.Dir(path), atomicfile.TempPrefix+filepath.Base(path)+"-"+newID(8))
	if err := atomicfile.Write(temp, []byte(text), 0o600); err != nil {
		return err
	}
	// A link, unlike a rename, replaces nothing.
	err := os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(temp), atomicfile.SyncDir(filepath.Dir(path)))
}

// Seal encrypts plain. context says what it is and whose, like "settings of deployment
// 4f2": only with the same one it opens, so that nothing that is sealed can take the
// place of something else.
func (k *Keys) Seal(plain []byte, context string) []byte {
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	sealed[0] = keyVersion
	_, _ = rand.Read(sealed[1:]) // it never fails
	return k.seal.Seal(sealed, sealed[1:], plain, []byte(context))
}

// Open decrypts what Seal made of it with the same context. Its error is a sentence
// that says what to try.
func (k *Keys) Open(sealed []byte, context string) ([]byte, error) {
	const head = 1 + chacha20poly1305.NonceSizeX
	if len(sealed) < head || sealed[0] != keyVersion {
		return nil, fmt.Errorf("open the %s: it was not sealed by this popup, or it is damaged", context)
	}
	plain, err := k.seal.Open(nil, sealed[1:head], sealed[head:], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("open the %s: %s is not the key file that it was sealed with, or it is damaged: "+
			"put back the one that was kept beside the backups, or enter it anew", context, k.path)
	}
	return plain, nil
}

// Derive makes 32 bytes of a label and parts that nobody without the key file can make,
// and that are the same each time.
func (k *Keys) Derive(label string, parts ...string) []byte {
	mac := hmac.New(sha256.New, k.derive)
	for _, part := range append([]string{label}, parts...) {
		// Each after its length, so that no two lists are written alike.
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
