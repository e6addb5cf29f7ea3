package apps

import (
	"fmt"
	"maps"
	"math"
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

// The types of a setting.
const (
	TypeText    = "text"
	TypeNumber  = "number"
	TypeBoolean = "boolean"
	TypeURL     = "url"
	TypeEmail   = "email"
)

// GeneratorSecret makes a random secret, once on the instance.
const GeneratorSecret = "secret"

// ResolveSettings makes the app's settings of what a launch gave: defaults are
// applied, types, choices and required ones checked, and unknown names refused
// with the nearest. What a generator makes is left out unless it was given. The
// error is Problems and holds no value of a secret.
func (m Manifest) ResolveSettings(given map[string]string) (map[string]string, error) {
	var problems Problems
	values := make(map[string]string, len(m.Env))
	for name, v := range m.Env {
		value, ok := given[name]
		if !ok || value == "" && v.Required {
			value = v.Value
		}
		switch {
		case value != "":
			if err := v.check(value); err != nil {
				problems.addErr(join("settings", name), err)
			}
		case v.Generator != "":
			continue
		case v.Required:
			problems.add(join("settings", name), "is required and has no value", settingHelp(name, v))
		}
		if ok || value != "" {
			values[name] = value
		}
	}
	for name := range given {
		if _, known := m.Env[name]; !known {
			hint := didYouMean(name, slices.Collect(maps.Keys(m.Env)))
			problems.add(join("settings", name), "is not a setting of "+string(m.ID), hint)
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return values, nil
}

// settingHelp says how a setting is given, and what it is for.
func settingHelp(name string, v EnvVar) string {
	help := "give it with --set " + name + "=VALUE"
	if v.Description != "" {
		help += ": " + strings.Join(strings.Fields(v.Description), " ")
	}
	return help
}

// check checks a value against the type and the choices. Its error holds the value only when v is no secret.
func (v EnvVar) check(value string) error {
	shown := quote(value)
	if v.Secret || v.Generator != "" {
		shown = "the value"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r == 0 }) {
		return flaw{shown + " holds a NUL byte", ""}
	}
	if len(v.Choices) > 0 && !slices.Contains(v.Choices, value) {
		return flaw{fmt.Sprintf("%s is not one of its choices: %s", shown, strings.Join(v.Choices, ", ")), ""}
	}
	switch v.Type {
	case TypeNumber:
		if f, err := strconv.ParseFloat(value, 64); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return flaw{shown + " is not a number", ""}
		}
	case TypeBoolean:
		if value != "true" && value != "false" {
			return flaw{shown + " is neither true nor false", ""}
		}
	case TypeURL:
		if checkWebsite(value) != nil {
			return flaw{shown + " is not a URL", "write one like https://example.org"}
		}
	case TypeEmail:
		if a, err := mail.ParseAddress(value); err != nil || a.Address != value {
			return flaw{shown + " is not an email address", "write one like name@example.org"}
		}
	}
	return nil
}

// GeneratedSecrets are the names of the settings the instance makes up, sorted.
func (m Manifest) GeneratedSecrets() []string {
	return m.settingsWith(func(v EnvVar) bool { return v.Generator == GeneratorSecret })
}

// SecretNames are the names of all settings that are not to be shown, sorted.
func (m Manifest) SecretNames() []string {
	return m.settingsWith(func(v EnvVar) bool { return v.Secret || v.Generator == GeneratorSecret })
}

func (m Manifest) settingsWith(has func(EnvVar) bool) []string {
	var names []string
	for name, v := range m.Env {
		if has(v) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
