package userdata

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// An Origin is where a manifest was read from. One field is set.
type Origin struct {
	Repository string     // URL[#REF]
	Folder     string     // an absolute path on this machine
	Shipped    apps.AppID // the copy inside the popup binary
}

// Overrides are what whoever launches an app decides, and its manifest does not.
type Overrides struct {
	Origin  Origin
	Service string // URL[#REF] of the code; empty: the manifest's, else the Origin
	Data    string // URL[#REF] of the data; empty: the manifest's
	// Here says that the plan is for this machine, so that its folders may be
	// named, by absolute paths.
	Here     bool
	Settings map[string]string
	// Until is when the instance ends: 2026-05-31, 2026-05-31T18:00, or a length
	// of time like 7d. Empty: after the manifest's default_ttl, and without one never.
	Until string
	// Now is what lengths of time count from. The zero time sets no end, and Until
	// must then be empty.
	Now    time.Time
	Zone   *time.Location // of the end; nil: UTC
	Listen string         // empty: :80
	// Domains are the names it is to be reached by over https.
	Domains []string
	Email   string // told to the authority that certifies them; empty: none
	Metrics string // HOST:PORT where they are served; empty: nowhere
	Fleet   int    // how many machines are launched alike; 0: one
	Trust   Trust
}

// NewPlan makes the plan that launches loaded as o says. What only a catalogue
// shows of the manifest is left out. The error joins
// everything that is wrong, in sentences for whoever chose it; problems with the
// settings are apps.Problems in it.
func NewPlan(loaded apps.Loaded, o Overrides) (wire.Plan, error) {
	service, serviceErr := serviceSource(loaded, o)
	data, dataErr := dataSource(loaded, o)
	if dataErr != nil && data == nil {
		data = new(wire.Source) // there would be one
	}
	trustErr := o.Trust.put(&service, data)
	over, endErr := end(loaded.Lifetime, o)
	serve, serveErr := serving(o)
	_, settingsErr := loaded.ResolveSettings(o.Settings)
	if err := errors.Join(serviceErr, dataErr, trustErr, endErr, serveErr, settingsErr, wire.CheckFleet(o.Fleet)); err != nil {
		return wire.Plan{}, err
	}
	plan := wire.Plan{
		Version:  wire.PlanVersion,
		Manifest: forInstance(loaded.Manifest),
		Service:  service,
		Data:     data,
		Serve:    serve,
		End:      over,
		Fleet:    o.Fleet,
		Settings: maps.Clone(o.Settings), // not the defaults: a newer manifest may have better ones
	}
	if isServicesOwn(loaded, o.Origin, service) {
		plan.ManifestFrom = wire.ManifestFromService
	}
	return plan, nil
}

// serving is where the instance is reached, with the domains as DNS has them.
func serving(o Overrides) (wire.Serve, error) {
	serve := wire.Serve{Listen: o.Listen, Domains: slices.Clone(o.Domains), Email: o.Email, Metrics: o.Metrics}
	if err := serve.Check(); err != nil {
		return wire.Serve{}, err
	}
	if len(serve.Domains) == 0 {
		serve.Domains = nil // an empty list would not come back from a plan's text
	}
	for i, given := range serve.Domains {
		domain, err := wire.ParseDomain(given)
		if err != nil {
			return wire.Serve{}, err
		}
		serve.Domains[i] = domain
	}
	return serve, nil
}

// forInstance is m without what only a catalogue shows, and what was decided by
// making the plan: where it may run, and for how long.
func forInstance(m apps.Manifest) apps.Manifest {
	m.Description, m.Keywords, m.Icon, m.Screenshots = "", nil, "", nil
	m.Resources, m.Lifetime = apps.Resources{}, apps.Lifetime{}
	m.Env = maps.Clone(m.Env)
	for name, setting := range m.Env {
		setting.Description = ""
		m.Env[name] = setting
	}
	return m
}

// isServicesOwn tells whether loaded is the app.yaml of the service's own tree.
func isServicesOwn(loaded apps.Loaded, from Origin, service wire.Source) bool {
	if loaded.Detected != "" || loaded.Shipped != "" {
		return false
	}
	if from.Repository != "" {
		address, ref := splitRef(from.Repository)
		return address == service.URL && (ref == "" || ref == service.Ref)
	}
	return from.Folder != "" && from.Folder == service.URL
}

func serviceSource(loaded apps.Loaded, o Overrides) (wire.Source, error) {
	s, from := loaded.Service, o.Origin
	address, ref := splitRef(from.Repository)
	switch {
	case o.Service != "":
		return namedSource("--service", o.Service, o.Here)
	case address != "" && (s.Repository == "" || s.Repository == address || loaded.Shipped != ""):
		if ref == "" {
			ref = s.Branch
		}
		return wire.Source{URL: address, Ref: ref}, nil
	case s.Repository != "":
		return writtenSource("service.repository", s.Repository, s.Branch, o)
	case from.Shipped != "":
		return wire.Source{Kind: apps.SourceFolder, URL: wire.CataloguePrefix + string(from.Shipped)}, nil
	case from.Folder != "" && o.Here:
		return wire.Source{Kind: apps.SourceFolder, URL: from.Folder}, nil
	case from.Folder != "":
		return wire.Source{}, fmt.Errorf("the code is in the folder %s, which another machine cannot read; push it to a repository and give that with --service", from.Folder)
	}
	return wire.Source{}, errors.New("app.yaml names no service.repository; give the code with --service")
}

// dataSource is nil for an app that shows no data.
func dataSource(loaded apps.Loaded, o Overrides) (*wire.Source, error) {
	d := loaded.Data
	switch {
	case d == nil && o.Data == "":
		return nil, nil
	case d == nil:
		return nil, errors.New("--data was given, but this app shows no data: its app.yaml has no data section")
	case o.Data != "":
		source, err := namedData(o.Data, o.Here)
		return &source, err
	}
	switch d.Source {
	case "", apps.SourceGit:
		if d.Repository == "" {
			return nil, errors.New("app.yaml names no data.repository; give the data with --data")
		}
		source, err := writtenSource("data.repository", d.Repository, d.Branch, o)
		return &source, err
	case apps.SourceFolder:
		return folderSource(loaded, o)
	case apps.SourceS3, apps.SourceHTTPS:
		return &wire.Source{Kind: d.Source, URL: d.URL}, nil
	}
	return nil, fmt.Errorf("data.source is %s, which this popup does not read; give the data with --data", d.Source)
}

// folderSource is the data folder of a manifest: beside it, or anywhere on the
// machine when its path is absolute.
func folderSource(loaded apps.Loaded, o Overrides) (*wire.Source, error) {
	folder := loaded.Data.URL
	source := wire.Source{Kind: apps.SourceFolder}
	switch {
	case filepath.IsAbs(folder):
		source.URL = folder
	case o.Origin.Shipped != "":
		source.URL = wire.CataloguePrefix + path.Join(string(o.Origin.Shipped), folder)
	case loaded.Shipped != "":
		source.URL = wire.CataloguePrefix + path.Join(string(loaded.Shipped), folder)
	case o.Here && o.Origin.Folder != "":
		source.URL = filepath.Join(o.Origin.Folder, folder)
	default:
		return nil, fmt.Errorf("the data is the folder %s beside app.yaml, which another machine cannot read; push it to a repository and give that with --data", folder)
	}
	return &source, nil
}

// writtenSource is a repository as the manifest names it: a URL, or a folder of
// this machine, beside the manifest when it is relative.
func writtenSource(field, repository, ref string, o Overrides) (wire.Source, error) {
	source := wire.Source{URL: repository, Ref: ref}
	switch {
	case apps.IsRemote(repository):
		return source, nil
	case !o.Here:
		return wire.Source{}, fmt.Errorf("%s is %s, a folder that another machine cannot read; give a repository's URL", field, repository)
	case filepath.IsAbs(repository):
		return source, nil
	case o.Origin.Folder == "":
		return wire.Source{}, fmt.Errorf("%s is %s, a relative folder, and the manifest was not read from a folder; write a repository's URL", field, repository)
	}
	source.URL = filepath.Join(o.Origin.Folder, repository)
	return source, nil
}

// splitRef parts URL[#REF].
func splitRef(given string) (address, ref string) {
	address, ref, _ = strings.Cut(given, "#")
	return address, ref
}

// namedData reads what a person gave as the data: a bucket, an archive, or what
// namedSource reads.
func namedData(given string, here bool) (wire.Source, error) {
	source := wire.Source{URL: given}
	secure := given
	switch rest, plain := strings.CutPrefix(given, "http://"); {
	case strings.HasPrefix(given, "s3://"):
		source.Kind = apps.SourceS3
	case (plain || strings.HasPrefix(given, "https://")) && apps.IsArchive(given):
		source.Kind = apps.SourceHTTPS
		if plain { // whoever launches may say so
			secure = "https://" + rest
		}
	default:
		return namedSource("--data", given, here)
	}
	if err := apps.CheckDataURL(source.Kind, secure); err != nil {
		return wire.Source{}, fmt.Errorf("--data: %w", err)
	}
	return source, nil
}

// namedSource reads URL[#REF] as a person gave it with a flag.
func namedSource(flag, given string, here bool) (wire.Source, error) {
	address, ref := splitRef(given)
	if strings.HasPrefix(address, wire.CataloguePrefix) {
		return wire.Source{Kind: apps.SourceFolder, URL: address}, nil
	}
	if err := apps.CheckRepository(address); err != nil {
		return wire.Source{}, fmt.Errorf("%s: %w", flag, err)
	}
	if !apps.IsRemote(address) && !here {
		return wire.Source{}, fmt.Errorf("%s: %s is a folder of this machine, which another cannot read; give a repository's URL", flag, address)
	}
	if !apps.IsRemote(address) && !filepath.IsAbs(address) {
		return wire.Source{}, fmt.Errorf("%s: %s is not an absolute path", flag, address)
	}
	if strings.HasPrefix(ref, "-") || strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return wire.Source{}, fmt.Errorf("%s: %q after # is not a branch, a tag or a commit", flag, ref)
	}
	return wire.Source{URL: address, Ref: ref}, nil
}
