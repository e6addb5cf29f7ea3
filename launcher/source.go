package launcher

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"popup/internal/wire"
	"popup/userdata"
)

// shownAddress is where a tree comes from, as anybody may read it. A folder's
// path says nothing to others, and something about this machine.
func shownAddress(s *wire.Source) string {
	if filepath.IsAbs(s.URL) || strings.HasPrefix(s.URL, "file:") {
		return "a folder of this machine"
	}
	return s.URL
}

// ownUserData is the user-data that launches a copy of what runs here, from the
// same repositories and by the same popup. It holds no settings, no credentials
// and no end. It is empty where another machine could not fetch what this one did.
func (a *Appliance) ownUserData() string {
	plan := a.opts.Plan
	plan.Instance, plan.End, plan.Console, plan.Settings, plan.State = "", nil, nil, nil, wire.State{}
	plan.Serve = wire.Serve{}
	for _, s := range []*wire.Source{&plan.Service, plan.Data} {
		if s != nil && shownAddress(s) != s.URL {
			return ""
		}
	}
	plan.Service.CredentialsFile = ""
	if plan.Data != nil {
		data := *plan.Data
		data.CredentialsFile = ""
		plan.Data = &data
	}
	binary, err := a.ownBinary()
	if err != nil {
		a.log.Debug("no user-data to show", "err", err)
		return ""
	}
	text, err := userdata.Render(userdata.Spec{Plan: plan, Binary: binary})
	if err != nil {
		a.log.Warn("show user-data", "err", err)
		return ""
	}
	return string(text)
}

// ownBinary reads what the installing script wrote down: the SHA-256 of this
// popup, and where it was downloaded from.
func (a *Appliance) ownBinary() (userdata.Binary, error) {
	text, err := os.ReadFile(a.at.binary())
	if errors.Is(err, fs.ErrNotExist) {
		return userdata.Binary{}, errors.New("popup was not installed by user-data")
	}
	if err != nil {
		return userdata.Binary{}, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return userdata.Binary{}, errors.New("what installed popup wrote down no address")
	}
	return userdata.Binary{URLs: fields[1:], SHA256: map[string]string{runtime.GOARCH: fields[0]}}, nil
}
