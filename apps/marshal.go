package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
)

// marshal writes a valid manifest: YAML for people where that is read back as it
// was, and else JSON, which is YAML too. (The library leaves some texts, like
// "? x", without the quotes they need, and loses a tab at the beginning.)
func marshal(m Manifest) ([]byte, error) {
	want, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	text, err := yaml.Marshal(m)
	if err == nil && readsAs(text, want) {
		return text, nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	if !readsAs(b.Bytes(), want) {
		return nil, errors.New("write manifest: it holds a text that cannot be written")
	}
	return b.Bytes(), nil
}

// readsAs says whether text is read as the manifest that is want in JSON.
func readsAs(text, want []byte) bool {
	m, err := Parse(FileName, text)
	if err != nil {
		return false
	}
	got, err := json.Marshal(m)
	return err == nil && bytes.Equal(got, want)
}
