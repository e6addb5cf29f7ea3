package userdata

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"popup/apps"
	"popup/internal/wire"
)

// CheckPlan tells everything in a plan that was read, and not made by NewPlan,
// that no instance could ever serve: a machine would only find out again and
// again. Its end is not looked at.
func CheckPlan(plan wire.Plan) error {
	errs := []error{plan.Serve.Check(), plan.Manifest.Validate(), wire.CheckFleet(plan.Fleet), checkSource("service", plan.Service), plan.State.Check()}
	if plan.Data != nil {
		errs = append(errs, checkSource("data", *plan.Data))
	}
	if plan.Manifest.Data != nil && plan.Data == nil {
		errs = append(errs, errors.New("the manifest shows data, and the plan does not say where it comes from; add data: {url: ...}"))
	}
	if plan.State.Volume != nil {
		errs = append(errs, plan.State.Volume.Check())
		if plan.Manifest.State == nil {
			errs = append(errs, errors.New("the plan has the state on a volume, and the app keeps none; take state.volume out"))
		}
	}
	if plan.Console != nil {
		errs = append(errs, plan.Console.Check())
		if plan.Instance != "" {
			errs = append(errs, wire.CheckInstance(plan.Instance))
		}
	}
	return errors.Join(append(errs, checkSettings(plan))...)
}

// checkSettings does not ask for what a console will tell.
func checkSettings(plan wire.Plan) error {
	m := plan.Manifest
	if plan.Console != nil {
		m.Env = maps.Clone(m.Env)
		for name, setting := range m.Env {
			setting.Required = false
			m.Env[name] = setting
		}
	}
	_, err := m.ResolveSettings(plan.Settings)
	return err
}

// checkSource knows git repositories and folders; what else there is says itself
// what is wrong with its address.
func checkSource(field string, s wire.Source) error {
	if err := checkSigned("verify or rewind", field, s); err != nil {
		return err
	}
	switch {
	case s.URL == "":
		return fmt.Errorf("%s has no url; write a repository's address", field)
	case s.Kind == apps.SourceFolder && !filepath.IsAbs(s.URL) && !strings.HasPrefix(s.URL, wire.CataloguePrefix):
		return fmt.Errorf("%s.url %q is not the absolute path of a folder", field, s.URL)
	case s.Kind == "" || s.Kind == apps.SourceGit:
		if err := apps.CheckRepository(s.URL); err != nil {
			return fmt.Errorf("%s.url %w", field, err)
		}
	}
	return nil
}
