package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// VaultConsole, as State.Vault, is the vault of the instance's console.
const VaultConsole = "console:"

// PathVault and a name is where an instance keeps an archive of its state with its
// console: PUT stores it, GET opens it. PathVault alone lists those of the instance.
//
// A PUT says the SHA-256 of its body before it (HeaderDigest), and the signature is over
// that: so neither side holds the body, and what came is held against it. The console
// reads back and verifies what came before it answers, with a KeptArchive.
//
// An instance removes nothing and changes nothing: another body under a name that is
// taken is answered 409, and what is no longer needed is the console's to remove. So a
// request that somebody recorded and sends again stores what is stored already, or tells
// what a break into TLS alone could have let them record: there is no number and no time
// in it. That TLS is what the plan pins, or a public authority vouches for.
const PathVault = "/api/v1/vault/"

// HeaderDigest is the SHA-256 of a request's body, as base64.
const HeaderDigest = "Popup-Digest"

// VaultVersion is the version of a VaultList.
const VaultVersion = 1

// The most bytes of what a console answers. Of archives themselves the console says how
// large they may be.
const (
	MaxKept      = 64 << 10
	MaxVaultList = 1 << 20
)

// Digest is HeaderDigest's value for a body that hashes to sum.
func Digest(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// ParseDigest reads HeaderDigest's value.
func ParseDigest(text string) ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != sha256.Size || Digest(sum) != text {
		return nil, errors.New(HeaderDigest + " is not the SHA-256 of a body as base64")
	}
	return sum, nil
}

// A KeptArchive is an archive that a console has.
type KeptArchive struct {
	Name   string    `json:"name"`
	Size   int64     `json:"size"`             // bytes
	SHA256 string    `json:"sha256,omitempty"` // of what was read back, in hexadecimal digits
	Since  time.Time `json:"since"`            // when it came
}

// ParseKept reads what a console answered to a PUT, at most MaxKept bytes.
func ParseKept(body []byte) (KeptArchive, error) {
	var k KeptArchive
	if len(body) > MaxKept {
		return k, fmt.Errorf("read the answer: it has more than %d bytes", MaxKept)
	}
	if err := json.Unmarshal(body, &k); err != nil {
		return KeptArchive{}, errors.New("read the answer: it is not the JSON of a console") // err may repeat all of it
	}
	return k, nil
}

// A VaultList is what a console has of an instance, in the order of the names.
type VaultList struct {
	Version  int           `json:"version"`
	Archives []KeptArchive `json:"archives"`
}

// ParseVaultList reads what a console answered, at most MaxVaultList bytes.
func ParseVaultList(body []byte) (VaultList, error) {
	var l VaultList
	if len(body) > MaxVaultList {
		return l, fmt.Errorf("read the list of backups: it has more than %d bytes", MaxVaultList)
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return VaultList{}, errors.New("read the list of backups: it is not the JSON of a console")
	}
	if l.Version < 1 {
		return VaultList{}, errors.New("read the list of backups: it has no version")
	}
	return l, nil
}
