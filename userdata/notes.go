package userdata

import (
	"fmt"
	"strings"

	"popup/apps"
	"popup/internal/wire"
)

// Notes are what whoever launches a plan made by NewPlan should be told, in
// sentences: what was detected, what is launched that may surprise, when it
// ends, and which secrets are in the open.
func Notes(loaded apps.Loaded, o Overrides, plan wire.Plan) []string {
	var notes []string
	if loaded.Detected != "" {
		notes = append(notes, loaded.Detected)
	}
	if from, _ := splitRef(o.Origin.Repository); from != "" && o.Service == "" && from != plan.Service.URL {
		notes = append(notes, fmt.Sprintf("its app.yaml names the service %s, so that is launched and not %s; give --service to launch the latter", plan.Service.URL, from))
	}
	if plan.End != nil {
		zone := plan.End.Zone
		if zone == "" {
			zone = "UTC"
		}
		notes = append(notes, fmt.Sprintf("it ends %s (%s) and then turns the machine off", plan.End.At, zone))
	}
	if len(plan.Serve.Domains) > 0 {
		notes = append(notes, fmt.Sprintf("point the DNS of %s at the machine; https begins there when it got certificates from Let's Encrypt, whose terms you accept by that",
			strings.Join(plan.Serve.Domains, ", ")))
		if listen := plan.Serve.Listen; listen != "" && !strings.HasSuffix(listen, ":80") {
			notes = append(notes, fmt.Sprintf("Let's Encrypt asks on port 80, and the machine listens on %s; without something that leads from one to the other there will be no certificate", listen))
		}
	}
	var open []string
	for _, name := range loaded.SecretNames() {
		if plan.Settings[name] != "" {
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		notes = append(notes, "settings marked secret are readable by whoever can read this machine's user-data: "+strings.Join(open, ", "))
	}
	return notes
}
