package launcher

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	if place, _, query := strings.Cut(s.URL, "?"); query && strings.Contains(place, "://") {
		return place // a query may be what lets somebody in
	}
	return s.URL
}

// ownUserData is the user-data that launches a copy of what runs here, from the
// same repositories and by the same popup. It holds no settings, no credentials
// and no end. Where another machine could not fetch what this one did, or should
// not, it is empty, and missing is a sentence that says why.
func (a *Appliance) ownUserData() (text, missing string) {
	plan := a.opts.Plan
	plan.Instance, plan.End, plan.Console, plan.Settings, plan.State = "", nil, nil, nil, wire.State{}
	plan.Serve = wire.Serve{}
	for _, s := range []*wire.Source{&plan.Service, plan.Data} {
		switch {
		case s == nil:
		case !isForEverybody(s.URL) || !isForEverybody(s.Relay) || !isForEverybody(s.Endpoint):
			return "", "What is served here comes from an address that is not for everybody."
		case shownAddress(s) != s.URL:
			return "", "What is served here comes from a folder of this machine, which no other one can fetch."
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
		return "", "popup was not installed here from an address that everybody may use."
	}
	rendered, err := userdata.Render(userdata.Spec{Plan: plan, Binary: binary})
	if err != nil {
		a.log.Warn("show user-data", "err", err)
		return "", "It cannot be written for what is served here."
	}
	return string(rendered), ""
}

// isForEverybody tells an address that holds nothing but a place: a user, a query
// or a fragment may be what lets somebody in.
func isForEverybody(address string) bool {
	if !strings.Contains(address, "://") { // a folder, or git's user@host:path
		return true
	}
	u, err := url.Parse(address)
	if err != nil || u.ForceQuery || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	_, password := u.User.Password()
	return u.User == nil || u.Scheme == "ssh" && !password
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
	urls := slices.DeleteFunc(fields[1:], func(u string) bool { return !isForEverybody(u) })
	if len(urls) == 0 {
		return userdata.Binary{}, errors.New("every address that popup came from may hold a secret")
	}
	return userdata.Binary{URLs: urls, SHA256: map[string]string{runtime.GOARCH: fields[0]}}, nil
}
