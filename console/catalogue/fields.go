package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"popup/apps"
)

// A Concern is what a field of a manifest decides, where that is more than how an app
// is shown.
type Concern string

// The concerns.
const (
	ConcernScript   Concern = "script"   // what is run besides the app
	ConcernCommand  Concern = "command"  // what builds, starts and checks it
	ConcernPackage  Concern = "package"  // what is installed
	ConcernSource   Concern = "source"   // where code and data come from
	ConcernMetadata Concern = "metadata" // whether it may ask the cloud about its machine
)

// concerns are by the beginnings of fields.
var concerns = []struct {
	prefix  string
	concern Concern
}{
	{"scripts.", ConcernScript}, {"packages.", ConcernPackage}, {"metadata", ConcernMetadata},
	{"build_command", ConcernCommand}, {"serve.", ConcernCommand}, {"data.check.command", ConcernCommand},
	{"service.", ConcernSource}, {"data.source", ConcernSource}, {"data.repository", ConcernSource}, {"data.url", ConcernSource}, {"data.branch", ConcernSource},
}

// A FieldChange is a field that two manifests have differently.
type FieldChange struct {
	Field   string  `json:"field"`         // as app.yaml has it: packages.apt, env.TITLE.value
	Old     string  `json:"old,omitempty"` // empty: it was not there
	New     string  `json:"new,omitempty"` // empty: it is not there any more
	Concern Concern `json:"concern,omitempty"`
}

// Concerning are the changes of one concern.
func Concerning(changes []FieldChange, concern Concern) []FieldChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c FieldChange) bool { return c.Concern != concern })
}

// compareManifests says field by field how two manifests differ. A nil one has no fields.
func compareManifests(before, after *apps.Manifest) ([]FieldChange, error) {
	was, err := flatten(before)
	if err != nil {
		return nil, err
	}
	is, err := flatten(after)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	var changes []FieldChange
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if was[field] != is[field] {
			changes = append(changes, FieldChange{Field: field, Old: was[field], New: is[field], Concern: concernOf(field)})
		}
	}
	return changes, nil
}

func concernOf(field string) Concern {
	for _, c := range concerns {
		if strings.HasPrefix(field, c.prefix) {
			return c.concern
		}
	}
	return ""
}

// flatten is a manifest as text by field. A list is one field.
func flatten(m *apps.Manifest) (map[string]string, error) {
	fields := map[string]string{}
	if m == nil {
		return fields, nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("compare manifests: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("compare manifests: %w", err)
	}
	flattenInto(fields, "", document)
	return fields, nil
}

func flattenInto(fields map[string]string, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			flattenInto(fields, strings.TrimPrefix(at+"."+key, "."), inner)
		}
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = fmt.Sprint(part)
		}
		fields[at] = strings.Join(parts, ", ")
	default:
		fields[at] = fmt.Sprint(v)
	}
}
