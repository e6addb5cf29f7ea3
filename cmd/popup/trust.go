package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"popup/userdata"
)

// trustFlags are whom a machine believes.
type trustFlags struct {
	signers, serviceSigners, rewind, relay string
}

func (f *trustFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.signers, "allowed-signers", "", "`FILE` of OpenSSH's allowed_signers, or of OpenPGP public keys; only commits of the data that they signed are published")
	cmd.Flags().StringVar(&f.serviceSigners, "service-allowed-signers", "", "`FILE` of those whose commits of the code are launched")
	cmd.Flags().StringVar(&f.rewind, "rewind", "", "allow (default) or refuse data that was moved back or begun anew")
	cmd.Flags().StringVar(&f.relay, "relay", "", "URL the data is fetched from first, where popup publish put it")
}

// read reads the files that are named. What they hold is checked with the plan.
func (f trustFlags) read() (userdata.Trust, error) {
	signers, err := readSigners("--allowed-signers", f.signers)
	if err != nil {
		return userdata.Trust{}, err
	}
	service, err := readSigners("--service-allowed-signers", f.serviceSigners)
	if err != nil {
		return userdata.Trust{}, err
	}
	return userdata.Trust{AllowedSigners: signers, ServiceSigners: service, Rewind: f.rewind, Relay: f.relay}, nil
}

// maxSigners bounds a file of allowed signers.
const maxSigners = 256 << 10

// readSigners reads a file; empty: none was named. One that allows nobody is an
// error, and never the same as none.
func readSigners(flag, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", flag, err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSigners+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", flag, err)
	}
	if len(text) == 0 {
		return "", fmt.Errorf("read %s: %s is empty; it must name a key", flag, name)
	}
	return string(text), nil
}
