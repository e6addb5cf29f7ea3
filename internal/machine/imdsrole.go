package machine

import (
	"encoding/json"
	"time"
)

// rolePath is where the role's name is found, and below that its keys.
const rolePath = "meta-data/iam/security-credentials/"

// A MetadataRole is the role of an instance.
type MetadataRole struct {
	Name string
	// Keys are what it signs in with now, and until when.
	Keys func() (access, secret, session string, until time.Time)
}

func (r *MetadataRole) answer(now time.Time) []byte {
	access, secret, session, until := r.Keys()
	// Marshal cannot fail: these are strings.
	text, _ := json.MarshalIndent(map[string]string{
		"Code": "Success", "LastUpdated": now.UTC().Format(time.RFC3339), "Type": "AWS-HMAC",
		"AccessKeyId": access, "SecretAccessKey": secret, "Token": session, "Expiration": until.UTC().Format(time.RFC3339),
	}, "", "  ")
	return text
}
