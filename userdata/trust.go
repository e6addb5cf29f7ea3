package userdata

import (
	"errors"
	"fmt"

	"popup/apps"
	"popup/internal/wire"
)

// Trust is whom a launch believes. It is the launch's to say, and never a
// manifest's: a fork would allow itself.
type Trust struct {
	AllowedSigners string // of the data's commits, as wire.Verify has them; empty: they need not be signed
	ServiceSigners string // the same of the code's
	Rewind         string // of the data: wire.RewindAllow or wire.RewindRefuse; empty: wire.RewindAllow
	Relay          string // where the data is fetched from first; empty: nowhere else
}

// put writes the trust into the sources of a plan. data is nil for an app without any.
func (t Trust) put(service, data *wire.Source) error {
	var wrong []error
	if t.ServiceSigners != "" {
		service.Verify = &wire.Verify{AllowedSigners: t.ServiceSigners}
		wrong = append(wrong, checkSigned("--service-allowed-signers", "code", *service))
	}
	if t.AllowedSigners+t.Rewind+t.Relay == "" {
		return errors.Join(wrong...)
	}
	if data == nil {
		return errors.Join(append(wrong, errors.New("--allowed-signers, --rewind and --relay are about the data, and this app shows none; --service-allowed-signers is about its code"))...)
	}
	data.Rewind, data.Relay = t.Rewind, t.Relay
	if t.AllowedSigners != "" {
		data.Verify = &wire.Verify{AllowedSigners: t.AllowedSigners}
	}
	flag := "--allowed-signers"
	if data.Verify == nil {
		flag = "--rewind"
	}
	return errors.Join(append(wrong, checkSigned(flag, "data", *data))...)
}

// checkSigned refuses what is asked of commits where there are none, and what is malformed.
func checkSigned(flag, what string, s wire.Source) error {
	if err := s.CheckTrust(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if s.Kind != "" && s.Kind != apps.SourceGit && (s.Verify != nil || s.Rewind == wire.RewindRefuse) {
		return fmt.Errorf("%s is about commits, and the %s is no git repository; leave it out, or name a repository", flag, what)
	}
	return nil
}
