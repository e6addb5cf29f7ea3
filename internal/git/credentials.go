package git

import (
	"errors"
	"io"
	"os"
	"strings"
)

// credentials reads the credentials file, at every use: it may have been rotated.
// Its content is never put into an error.
func (r *Remote) credentials() (text string, err error) {
	if r.opts.CredentialsFile == "" {
		return "", nil
	}
	f, err := os.Open(r.opts.CredentialsFile)
	if err != nil {
		return "", &Error{Class: Credentials, Err: err, Why: "the credentials file cannot be read: " + err.Error(), Retry: true}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const most = 64 << 10
	all, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", &Error{Class: Credentials, Err: err, Why: "the credentials file cannot be read: " + err.Error(), Retry: true}
	}
	text = strings.TrimSpace(string(all))
	if text == "" {
		return "", &Error{Class: Credentials, Why: "the credentials file is empty", Hint: "write user:password, a token, or a private SSH key into it"}
	}
	return text, nil
}
