package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// A password is kept as what argon2id makes of it, with the parameters, so that these
// may be changed: $argon2id$v=19$m=19456,t=2,p=1$SALT$KEY, both in base64.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes

	// A hash that wants more than this is not computed, whoever wrote it.
	argonMostMemory = 256 * 1024 // KiB
	argonMostTime   = 16

	passwordLeast = 10   // characters
	passwordMost  = 1024 // bytes
)

// Passwords are few at a time, since each takes memory; the others wait a little.
const (
	passwordsAtOnce  = 2
	passwordPatience = 5 * time.Second
)

// passwords makes and checks hashes.
type passwords struct {
	slots chan struct{} // holds one for each that is computed
	none  string        // the hash of a password that nobody has
	tidy  *time.Timer   // gives the memory they took back
}

// tidyAfter is when that is, after the last: it is half of an idle console's memory, which
// would be kept for minutes.
const tidyAfter = 5 * time.Second

func newPasswords() *passwords {
	p := &passwords{slots: make(chan struct{}, passwordsAtOnce), tidy: time.AfterFunc(time.Hour, debug.FreeOSMemory)}
	p.tidy.Stop()
	salt, key := make([]byte, argonSalt), make([]byte, argonKey)
	_, _ = rand.Read(salt) // these never fail
	_, _ = rand.Read(key)
	p.none = argonHash{argonMemory, argonTime, argonThreads, salt, key}.String()
	return p
}

// hash makes the hash of a password. The error is a *BusyError where too many are made.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // it never fails
	h := argonHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: salt, key: make([]byte, argonKey)}
	h.key = h.of(password)
	return h.String(), nil
}

// check says whether a password is the one of a hash. Without a hash it takes as long,
// and says no. The error is a *BusyError where too many are checked.
func (p *passwords) check(ctx context.Context, hash, password string) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	h, err := parseArgon(cmp.Or(hash, p.none))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.of(password), h.key) == 1, nil
}

func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	patience := time.NewTimer(passwordPatience)
	defer patience.Stop()
	select {
	case p.slots <- struct{}{}:
		return func() {
			<-p.slots
			p.tidy.Reset(tidyAfter)
		}, nil
	case <-patience.C:
		return nil, &BusyError{"too many people sign in at this moment; try again in a few seconds", passwordPatience}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An argonHash is a hash, taken apart.
type argonHash struct {
	memory, time uint32 // KiB, rounds
	threads      uint8
	salt, key    []byte
}

func (h argonHash) of(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

func (h argonHash) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, encode(h.salt), encode(h.key))
}

var errHash = errors.New("read the password: it is not kept as this popup keeps passwords; set a new one")

// parseArgon reads a hash. Its error does not show it.
func parseArgon(text string) (h argonHash, err error) {
	parts := strings.Split(text, "$")
	if len(text) > 500 || len(parts) != 6 {
		return h, errHash
	}
	var version int
	_, verr := fmt.Sscanf(parts[2], "v=%d", &version)
	_, perr := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads)
	var serr, kerr error
	h.salt, serr = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, kerr = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case errors.Join(verr, perr, serr, kerr) != nil, version != argon2.Version,
		h.memory < 8*uint32(h.threads) || h.memory > argonMostMemory, h.time < 1 || h.time > argonMostTime, h.threads < 1,
		len(h.salt) < 8, len(h.key) < 16,
		h.String() != text: // it is written in one way only
		return argonHash{}, errHash
	}
	return h, nil
}

// passwordFault says why a password is not good enough for whoever has the names; nil:
// it is.
func passwordFault(password string, names ...string) error {
	lower := strings.ToLower(password)
	distinct := slices.Compact(slices.Sorted(slices.Values([]rune(lower))))
	switch {
	case utf8.RuneCountInString(password) < passwordLeast:
		return fmt.Errorf("is too short: take at least %d characters, such as three or four words", passwordLeast)
	case len(password) > passwordMost:
		return fmt.Errorf("is too long: take at most %d bytes", passwordMost)
	case !utf8.ValidString(password):
		return errors.New("is not text")
	case len(distinct) < 4, slices.Contains(mostUsed, lower):
		return errors.New("is one of those that are tried first: take three or four words that do not belong together")
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(strings.TrimSpace(name), strings.TrimSpace(password)) {
			return errors.New("is your name, which is tried first: take three or four words that do not belong together")
		}
	}
	return nil
}

// newPassword makes the hash of one that is good enough for a person.
func (c *Console) newPassword(ctx context.Context, password string, p Person) (string, error) {
	var w wrong
	w.check("password", passwordFault(password, p.Name, p.Display, p.Email))
	if err := w.err(); err != nil {
		return "", err
	}
	return c.door.passwords.hash(ctx, password)
}

// mostUsed are passwords of ten characters and more that everybody tries first.
var mostUsed = []string{
	"0123456789", "0987654321", "123456789a", "1234567890", "12345678910", "123456789012", "1234qwerasdf", "123qweasdzxc", "1q2w3e4r5t",
	"1q2w3e4r5t6y", "1qaz2wsx3edc", "abcd123456", "abcdefghij", "administrator", "asdfghjkl1", "asdfghjkl;", "basketball",
	"changeme123", "correct horse battery staple", "correcthorsebatterystaple", "fuckyou123", "iloveyou123", "letmein123", "liverpool1",
	"manchester", "p@ssw0rd123", "passw0rd123", "password01", "password10", "password11", "password12", "password123", "password123!",
	"password1234", "password12345", "password123456", "passwordpassword", "popuppopup", "princess123", "q1w2e3r4t5", "q1w2e3r4t5y6",
	"qazwsxedcrfv", "qwer123456", "qwerty12345", "qwerty123456", "qwertyuiop", "qwertyuiop123", "qwertzuiop", "sunshine123", "superman123",
	"test123456", "welcome123", "welcome1234", "zaq12wsxcde3",
}
