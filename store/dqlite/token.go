//go:build dqlite

package dqlite

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"strings"
)

// A token is what lets one other console in: a line for people to carry.
type token struct {
	Addresses []string `json:"addresses"` // of members
	Authority []byte   `json:"authority"` // SHA-256 of the certificate of the cluster's authority
	Secret    []byte   `json:"secret"`
}

const secretBytes = 20

func (t token) String() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and bytes
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(text)))
}

func parseToken(line string) (t token, err error) {
	coded, is := strings.CutPrefix(strings.TrimSpace(line), tokenPrefix)
	if !is {
		return t, errors.New("this is no token to join with: popup console cluster-token, run beside a console of the cluster, prints one")
	}
	text, err := base64.RawURLEncoding.DecodeString(coded)
	if end := len(text) - crc32.Size; err == nil && end > 0 && binary.BigEndian.Uint32(text[end:]) == crc32.ChecksumIEEE(text[:end]) {
		err = json.Unmarshal(text[:end], &t)
	}
	if err != nil || len(t.Addresses) == 0 || len(t.Authority) != sha256.Size || len(t.Secret) != secretBytes {
		return t, errors.New("the token was cut off or changed on its way: copy the whole line")
	}
	return t, nil
}
