package archive

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Sealed ends the names of archives that are encrypted, as those of ordinary tools do.
const Sealed = ".age"

// CheckRecipient says what is wrong with who is to open archives.
func CheckRecipient(recipient string) error {
	_, err := parseRecipient(recipient)
	return err
}

func parseRecipient(text string) (age.Recipient, error) {
	all, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil || len(all) != 1 {
		return nil, fmt.Errorf("recipient %.80q is none of age's; write the one line age1… that was printed with the key", text)
	}
	return all[0], nil
}

// NewIdentity makes a key, and tells whom to encrypt to for it.
func NewIdentity() (identity, recipient string, err error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	return key.String(), key.Recipient().String(), nil
}

// errIdentity does not repeat the key.
var errIdentity = errors.New("the key that is to open the archive is none of age's; it is a line AGE-SECRET-KEY-1…")

// CheckIdentity says what is wrong with a key that is to open archives: the text of one,
// comments included, as age-keygen writes it.
func CheckIdentity(identity string) error {
	if _, err := age.ParseIdentities(strings.NewReader(identity)); err != nil {
		return errIdentity
	}
	return nil
}

// Seal encrypts what is written, for recipient alone to open. What was written is whole
// only after Close, which does not close w.
func Seal(w io.Writer, recipient string) (io.WriteCloser, error) {
	to, err := parseRecipient(recipient)
	if err != nil {
		return nil, err
	}
	return age.Encrypt(w, to)
}

// ErrIdentity is in the error of Open when the key given is not the one, or none is.
var ErrIdentity = errors.New("the backup is encrypted")

// Open decrypts the archive of that name with the key identity, where its name says that
// it is encrypted; others are read as they are. What is damaged, or cut short, fails
// with ErrCorrupt as it is read.
func Open(name string, r io.Reader, identity string) (io.Reader, error) {
	if !strings.HasSuffix(name, Sealed) {
		return r, nil
	}
	if identity == "" {
		return nil, fmt.Errorf("open backup %q: %w; give the key that opens it", name, ErrIdentity)
	}
	keys, err := age.ParseIdentities(strings.NewReader(identity))
	if err != nil {
		return nil, fmt.Errorf("open backup %q: %w", name, errIdentity)
	}
	source := &watched{r: r}
	plain, err := age.Decrypt(source, keys...)
	var other *age.NoIdentityMatchError
	switch {
	case source.err != nil:
		return nil, fmt.Errorf("open backup %q: %w", name, source.err)
	case errors.As(err, &other):
		return nil, fmt.Errorf("open backup %q: %w for another key than the one given", name, ErrIdentity)
	case err != nil:
		return nil, fmt.Errorf("open backup %q: %w: it is not what age encrypts (%w)", name, ErrCorrupt, err)
	}
	return &opened{plain, source}, nil
}

// opened tells damage from a source that could not be read.
type opened struct {
	plain  io.Reader
	source *watched
}

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.plain.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && o.source.err == nil {
		err = fmt.Errorf("%w: it is damaged, or cut short (%w)", ErrCorrupt, err)
	}
	return n, err
}
