package console

import (
	"errors"

	"popup/apps"
	"popup/console/catalogue"
	"popup/userdata"
)

// A CopyRequest says how somebody launches an app without any console. Empty fields are
// the app's own.
type CopyRequest struct {
	Format   string // script (the default), cloud-config or mime
	Until    string // a date, a date and time, or a length of time like 7d
	Zone     string // of Until, an IANA name; empty: UTC
	Service  string // URL[#REF] of the code
	Data     string // the same of the data
	Settings map[string]string
}

// A Copy is the user-data that launches an app without any console.
type Copy struct {
	Text  []byte
	Notes []string // sentences that whoever pastes it should read
}

// Copy writes the user-data that launches a copy of an app anywhere, without this
// console. Its error is an *InputError where r is at fault.
func (c *Console) Copy(a Actor, app catalogue.App, r CopyRequest) (Copy, error) {
	if err := authorise(a, See, target{}); err != nil {
		return Copy{}, err
	}
	var w wrong
	format, err := userdata.ParseFormat(r.Format)
	w.check("format", err)
	zone, err := parseZone(r.Zone)
	w.check("zone", err)
	if err := w.err(); err != nil {
		return Copy{}, err
	}
	o := userdata.Overrides{Service: r.Service, Data: r.Data, Settings: r.Settings, Until: r.Until, Zone: zone, Now: c.now().In(zone)}
	text, notes, err := app.UserData(o, userdata.Spec{Format: format, Binary: c.opts.Binary})
	if err != nil {
		return Copy{}, copyError(err)
	}
	return Copy{text, notes}, nil
}

// copyError tells settings apart from the rest of what was decided.
func copyError(err error) error {
	var w wrong
	var settings apps.Problems
	if errors.As(err, &settings) {
		for _, p := range settings {
			w.add("set."+p.Field, p.Message)
		}
		return w.err()
	}
	w.add("app", err.Error())
	return w.err()
}
