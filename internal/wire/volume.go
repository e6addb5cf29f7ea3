package wire

import (
	"errors"
	"regexp"
)

var volumeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Check says what is wrong with v.
func (v Volume) Check() error {
	if !volumeForm.MatchString(v.ID) {
		return errors.New("state.volume.id is no volume's; write its id, like vol-0123456789abcdef0")
	}
	return nil
}
