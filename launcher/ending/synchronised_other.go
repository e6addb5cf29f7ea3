//go:build !linux

package ending

import "errors"

func kernelSynchronised() (bool, error) { return false, errors.ErrUnsupported }
