package wire

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// VaultBucket begins the address of a vault in a bucket: s3://bucket/prefix/.
const VaultBucket = "s3://"

var recipientForm = regexp.MustCompile(`^age1[02-9ac-hj-np-z]{8,}$`)

// Check tells everything that keeps backups from going where s says, in sentences for
// whoever wrote it.
func (s State) Check() error {
	var errs []error
	bucket := strings.HasPrefix(s.Vault, VaultBucket)
	switch {
	case bucket && s.Recipient == "":
		errs = append(errs, errors.New("state.vault is a bucket, whose owner could read the backups; name with state.recipient whom they are encrypted to, a line age1… of age-keygen"))
	case !bucket && strings.Contains(s.Vault, "://"):
		errs = append(errs, fmt.Errorf("state.vault %q is neither a folder, nor %s, nor a bucket; write s3://bucket/folder/ for one", s.Vault, VaultConsole))
	}
	if !bucket && s.Endpoint+s.Region+s.CredentialsFile != "" {
		errs = append(errs, errors.New("state.endpoint, region and credentials_file are for a bucket; write state.vault: s3://bucket/folder/, or leave them out"))
	}
	if s.Recipient != "" && !recipientForm.MatchString(s.Recipient) {
		errs = append(errs, fmt.Errorf("state.recipient %.80q is none of age's; write the line age1… that was printed with the key", s.Recipient))
	}
	return errors.Join(errs...)
}
