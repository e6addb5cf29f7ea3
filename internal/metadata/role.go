package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Keys are what the machine's role signs in with, for some hours.
type Keys struct {
	Access, Secret, Session string
	Expires                 time.Time
}

var roleForm = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)

// Keys are those of the machine's role. It is ErrNone of a machine that has none.
// Nothing of the answer is ever put into an error.
func (c *Client) Keys(ctx context.Context) (Keys, error) {
	const at = "/latest/meta-data/iam/security-credentials/"
	roles, err := c.get(ctx, at)
	if err != nil {
		return Keys{}, err
	}
	role, _, _ := strings.Cut(strings.TrimSpace(string(roles)), "\n")
	if role == "" {
		return Keys{}, fmt.Errorf("ask the instance metadata for its role: %w", ErrNone)
	}
	if !roleForm.MatchString(role) {
		return Keys{}, errors.New("ask the instance metadata for its role: its answer is no role's name")
	}
	text, err := c.get(ctx, at+role)
	if err != nil {
		return Keys{}, err
	}
	var answer struct {
		Code, Token, Expiration      string
		AccessKeyID, SecretAccessKey string
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return Keys{}, fmt.Errorf("ask the instance metadata for the keys of the role %s: its answer is not JSON", role)
	}
	expires, err := time.Parse(time.RFC3339, answer.Expiration)
	if answer.Code != "" && answer.Code != "Success" || answer.AccessKeyID == "" || answer.SecretAccessKey == "" || err != nil {
		return Keys{}, fmt.Errorf("ask the instance metadata for the keys of the role %s: there are none (%.60q); "+
			"the role must be there, and trust the service ec2", role, answer.Code)
	}
	return Keys{Access: answer.AccessKeyID, Secret: answer.SecretAccessKey, Session: answer.Token, Expires: expires}, nil
}
