package apps

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/invopop/jsonschema"
)

//go:generate go test -run TestSchemaIsCurrent -update .

var update = flag.Bool("update", false, "write app.schema.json anew")

const schemaFile = "app.schema.json"

// TestSchemaIsCurrent holds the checked-in JSON Schema against the types, their
// comments and the words the checks know.
func TestSchemaIsCurrent(t *testing.T) {
	want := schemaText(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say; make golden writes it anew", schemaFile)
	}
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	r := jsonschema.Reflector{Mapper: schemaOfText, FieldNameTag: "yaml", Anonymous: true}
	if err := r.AddGoComments("popup/apps", ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for name, comment := range r.CommentMap { // comments are wrapped, descriptions are not
		r.CommentMap[name] = string(bytes.Join(bytes.Fields([]byte(comment)), []byte(" ")))
	}
	schema := r.Reflect(Manifest{})
	schema.ID, schema.Title = "", "app.yaml, manifest version 1"
	addWords(t, schema)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// schemaOfText is the schema of the types that are written as text.
func schemaOfText(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[AppID]():
		return &jsonschema.Schema{Type: "string", Pattern: idForm.String()}
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: "^([0-9]+(w|d|h|m|s|ms|us|ns))+$", Examples: []any{"90s", "1h30m", "7d"}}
	case reflect.TypeFor[Size]():
		return &jsonschema.Schema{
			OneOf: []*jsonschema.Schema{
				{Type: "string", Pattern: "^[0-9]+(\\.[0-9]+)? ?([kKMGT]i?)?B?$"},
				{Type: "integer", Minimum: "0"},
			},
			Examples: []any{"500 MB", "2 GiB", 4096},
		}
	case reflect.TypeFor[Percent]():
		return &jsonschema.Schema{Type: "string", Pattern: percentForm.String(), Examples: []any{"40%"}}
	}
	return nil
}

// addWords says which words a field takes, as the checks know them.
func addWords(t *testing.T, schema *jsonschema.Schema) {
	t.Helper()
	property := func(definition, key string) *jsonschema.Schema {
		def, ok := schema.Definitions[definition]
		if !ok {
			t.Fatalf("the schema has no %s", definition)
		}
		p, ok := def.Properties.Get(key)
		if !ok {
			t.Fatalf("the schema has no %s.%s", definition, key)
		}
		return p
	}
	for _, w := range []struct {
		definition, key string
		words           []string
	}{
		{"Serve", "type", serveTypes},
		{"Data", "source", dataSources},
		{"DataSync", "on_change", onChanges},
		{"EnvVar", "type", settingTypes},
		{"EnvVar", "generator", generators},
		{"Manifest", "metadata", metadataWords},
	} {
		property(w.definition, w.key).Enum = anySlice(w.words)
	}
	property("Resources", "architectures").Items.Enum = anySlice(architectures)
	property("Manifest", "manifest_version").Const = ManifestVersion
	for _, key := range []string{"value", "choices"} { // numbers and true stand for their text
		p := property("EnvVar", key)
		if p.Items != nil {
			p = p.Items
		}
		p.Type, p.OneOf = "", []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}
	}
}

func anySlice(words []string) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}
