package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// TalkVersion is the version of what instance and console say to each other.
const TalkVersion = 1

// Headers of every request of an instance's. The signature covers method, path
// (one of the Path constants, whatever the console's URL adds before it), instance
// and body, as they were sent.
const (
	HeaderInstance  = "Popup-Instance"
	HeaderSignature = "Popup-Signature"
)

// The most bytes of what is sent. Who reads stops there.
const (
	MaxEnrolment = 64 << 10
	MaxEnrolled  = 256 << 10
	MaxReport    = 64 << 10
	MaxAnswer    = 64 << 10
	MaxLogs      = 256 << 10 // as they are sent, compressed
)

// An Enrolment asks to be known. It is signed with the key it brings, so that nobody
// enrols a key that is another's, or is told what is for another's. The same key asks
// the same again whenever the answer was lost; the token may be empty for a key that
// was enrolled before.
type Enrolment struct {
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	Token    string    `json:"token,omitempty"`
	Key      []byte    `json:"key"`   // the public half, ed25519
	Popup    string    `json:"popup"` // the version of the instance's popup
	Arch     string    `json:"arch"`  // as Go names it
	Identity *Identity `json:"identity,omitempty"`
}

// An Identity is what a cloud says about a machine, signed by the cloud.
type Identity struct {
	Kind      string `json:"kind"` // IdentityEC2
	Document  []byte `json:"document"`
	Signature []byte `json:"signature"`
}

// IdentityEC2 is the kind of an EC2 instance's: its identity document as the metadata
// service gives it, and the text of its rsa2048, a PKCS #7 signature in base64.
const IdentityEC2 = "ec2"

var instanceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// CheckInstance says what is wrong with an instance's id.
func CheckInstance(id string) error {
	if !instanceForm.MatchString(id) {
		return errors.New("an instance's id has 1 to 128 letters, digits, dots, - and _, and begins with a letter or a digit")
	}
	return nil
}

// Check says what keeps e from being considered.
func (e Enrolment) Check() error {
	var errs []error
	if e.Version < 1 {
		errs = append(errs, errors.New("the version is missing"))
	}
	if len(e.Key) != ed25519.PublicKeySize {
		errs = append(errs, fmt.Errorf("the key has %d bytes; an ed25519 key has %d", len(e.Key), ed25519.PublicKeySize))
	}
	if e.Token != "" && !tokenForm.MatchString(e.Token) {
		errs = append(errs, errors.New("the token is none of a console's"))
	}
	return errors.Join(append(errs, CheckInstance(e.Instance))...)
}

// Enrolled answers an Enrolment: what the instance needs before it can start its app.
type Enrolled struct {
	Settings map[string]string `json:"settings,omitempty"` // values of the manifest's env
	Secrets  map[string]string `json:"secrets,omitempty"`  // those of them that are not to be shown
	// ReportEvery is the seconds between reports without news; 0: 30.
	ReportEvery int `json:"report_every,omitempty"`
	// Restore is the archive that the state begins with; nil: it begins empty. The
	// instance keeps a state that it has already.
	Restore *Restore `json:"restore,omitempty"`
}

// A Restore names an archive to begin with.
type Restore struct {
	Vault string `json:"vault"` // as State.Vault; VaultConsole: PathVault of the console
	Name  string `json:"name"`
	// Identity opens an archive that is encrypted, as age writes one; empty: it is not.
	Identity string `json:"identity,omitempty"`
}

// ParseEnrolled reads what a console answered, at most MaxEnrolled bytes.
func ParseEnrolled(body []byte) (Enrolled, error) {
	var e Enrolled
	if len(body) > MaxEnrolled {
		return e, fmt.Errorf("read the enrolment: it has more than %d bytes", MaxEnrolled)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Enrolled{}, errors.New("read the enrolment: it is not the JSON of a console") // err may hold a secret
	}
	e.ReportEvery = int(Period(e.ReportEvery) / time.Second)
	return e, nil
}

// How often an instance reports when there is no news.
const (
	DefaultPeriod = 30 * time.Second
	LeastPeriod   = 5 * time.Second
	MostPeriod    = 10 * time.Minute
)

// Period is what a console's number of seconds means: 0 is DefaultPeriod, and what
// would be a flood or a silence is kept within bounds.
func Period(seconds int) time.Duration {
	if seconds == 0 {
		return DefaultPeriod
	}
	seconds = min(max(seconds, int(LeastPeriod/time.Second)), int(MostPeriod/time.Second))
	return time.Duration(seconds) * time.Second
}

// A Signed is what a signature of an instance's is over.
type Signed struct {
	Method   string
	Path     string // one of the Path constants
	Instance string
	Body     []byte // as it is sent: compressed, where it is
	// Digest is the SHA-256 of a body that is not in memory, and then Body is nil. The
	// signature is the same.
	Digest []byte
}

// message is unambiguous: each part comes after its length, and no other message
// that an instance's key signs begins alike.
func (s Signed) message() []byte {
	sum := s.Digest
	if sum == nil {
		whole := sha256.Sum256(s.Body)
		sum = whole[:]
	}
	var m []byte
	for _, part := range []string{"popup: a request of an instance, 1", s.Method, s.Path, s.Instance, string(sum)} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(part)))
		m = append(m, part...)
	}
	return m
}

// Sign returns the value of HeaderSignature.
func (s Signed) Sign(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.message()))
}

// VerifiedBy says whether signature is key's.
func (s Signed) VerifiedBy(key ed25519.PublicKey, signature string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil && len(key) == ed25519.PublicKeySize && len(raw) == ed25519.SignatureSize && ed25519.Verify(key, s.message(), raw)
}
