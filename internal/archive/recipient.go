package archive

import (
	"strings"

	"filippo.io/age"
)

// RecipientOf tells whom to encrypt to for a key. Its text has one, comments included, as
// age-keygen writes it.
func RecipientOf(identity string) (string, error) {
	keys, err := age.ParseIdentities(strings.NewReader(identity))
	if err != nil || len(keys) != 1 {
		return "", errIdentity
	}
	key, ok := keys[0].(*age.X25519Identity)
	if !ok {
		return "", errIdentity
	}
	return key.Recipient().String(), nil
}
