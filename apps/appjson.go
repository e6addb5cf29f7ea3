package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// appJSONFile is what Heroku calls its manifest. It describes an app, and says
// nothing about how the app is started.
const appJSONFile = "app.json"

// appJSON is the part of an app.json that has a counterpart here. Its other
// keys (formation, addons, buildpacks and so on) are ignored.
type appJSON struct {
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Keywords    []string              `json:"keywords"`
	Website     string                `json:"website"`
	Env         map[string]appJSONEnv `json:"env"`
	Scripts     struct {
		Postdeploy appJSONCommand `json:"postdeploy"`
	} `json:"scripts"`
}

type appJSONEnv struct {
	Description string          `json:"description"`
	Value       json.RawMessage `json:"value"`
	Required    *bool           `json:"required"` // true when left out
	Generator   string          `json:"generator"`
}

// UnmarshalJSON reads an object, or a text that is the value.
func (e *appJSONEnv) UnmarshalJSON(text []byte) error {
	if text[0] != '{' {
		e.Value = slices.Clone(text)
		return nil
	}
	type plain appJSONEnv
	return json.Unmarshal(text, (*plain)(e))
}

// variable is the setting that e describes.
func (e appJSONEnv) variable() (EnvVar, error) {
	v := EnvVar{Description: e.Description, Generator: e.Generator, Required: e.Required == nil || *e.Required}
	if len(e.Value) == 0 || string(e.Value) == "null" {
		return v, nil
	}
	if e.Value[0] == '"' {
		return v, json.Unmarshal(e.Value, &v.Value)
	}
	if strings.ContainsRune("{[", rune(e.Value[0])) {
		return v, errors.New("its value is neither a text nor a number")
	}
	v.Value = string(e.Value)
	return v, nil
}

// appJSONCommand is a command, or an object that has one.
type appJSONCommand string

// UnmarshalJSON reads both forms.
func (c *appJSONCommand) UnmarshalJSON(text []byte) error {
	if text[0] == '{' {
		var object struct {
			Command string `json:"command"`
		}
		err := json.Unmarshal(text, &object)
		*c = appJSONCommand(object.Command)
		return err
	}
	return json.Unmarshal(text, (*string)(c))
}

// readAppJSON adds what an app.json says of the app, and whether there was one.
func readAppJSON(folder fs.FS, m *Manifest) (bool, error) {
	text, err := ReadBounded(folder, appJSONFile, MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", appJSONFile, err)
	}
	if len(text) > MaxSize {
		return false, Problems{{File: appJSONFile, Message: "is larger than " + Size(MaxSize).String()}}
	}
	var app appJSON
	if err := json.Unmarshal(text, &app); err != nil {
		return false, Problems{jsonProblem(text, err)}
	}
	return true, app.describe(m)
}

func (a appJSON) describe(m *Manifest) error {
	if a.Name != "" {
		m.Name = a.Name
	}
	m.Description, m.Keywords, m.Website = a.Description, a.Keywords, a.Website
	m.Scripts.Postdeploy = string(a.Scripts.Postdeploy)
	for name, e := range a.Env {
		v, err := e.variable()
		if err != nil {
			return Problems{{File: appJSONFile, Field: join("env", name), Message: err.Error()}}
		}
		if slices.Contains(ownNames, name) {
			continue // popup sets it, as Heroku does PORT
		}
		if m.Env == nil {
			m.Env = map[string]EnvVar{}
		}
		m.Env[name] = v
	}
	return nil
}

// jsonProblem says where a JSON text is wrong, without the names of Go's types.
func jsonProblem(text []byte, err error) Problem {
	p := Problem{File: appJSONFile, Message: "is not an object of JSON as Heroku describes it", Hint: "mend it, or run popup init to write an " + FileName}
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	offset := int64(0)
	switch {
	case errors.As(err, &syntax):
		p.Message, offset = "is not JSON: "+syntax.Error(), syntax.Offset
	case errors.As(err, &wrong):
		p.Field, p.Message, offset = wrong.Field, "has the wrong type: "+wrong.Value, wrong.Offset
	}
	before := text[:min(max(offset-1, 0), int64(len(text)))]
	p.Line = bytes.Count(before, []byte("\n")) + 1
	p.Column = len(before) - bytes.LastIndexByte(before, '\n')
	return p
}
