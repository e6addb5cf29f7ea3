package web

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/invopop/jsonschema"

	"popup/apps"
	"popup/web/api"
)

// getOpenAPI is the document of the API.
func (s *Server) getOpenAPI(c *gin.Context) {
	c.Data(http.StatusOK, "application/json", s.openapi)
}

// document describes the routes of the API (OpenAPI 3.1). It is made of the list of
// routes and of the very types that are read and written, so that it cannot say
// anything else than what happens.
func document(routes []route, version string) ([]byte, error) {
	shapes := &shapes{names: map[string]reflect.Type{}, schemas: map[string]json.RawMessage{}}
	failure, err := shapes.ref(reflect.TypeFor[api.Problem](), open)
	if err != nil {
		return nil, err
	}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if r.does == "" {
			continue
		}
		operation, err := shapes.operation(r)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		path := documentPath(r.path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.method)] = operation
	}
	return json.Marshal(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "popup console", "version": version,
			"description": "Events, what runs for them, and the fleet. An error is a problem (RFC 9457). What a list leaves out, its next_page_token asks for."},
		"servers": []any{map[string]any{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":   shapes.schemas,
			"responses": map[string]any{"Problem": map[string]any{"description": "what is wrong, and what to try", "content": content(api.ProblemType, failure)}},
			"securitySchemes": map[string]any{
				"token": map[string]any{"type": "http", "scheme": "bearer"},
				"instance": map[string]any{"type": "apiKey", "in": "header", "name": "Popup-Signature",
					"description": "an instance's key signs what it sends; Popup-Instance says whose it is"},
			},
		},
	})
}

// documentPath writes /events/:id as /events/{id}.
func documentPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

func content(media string, schema any) map[string]any {
	return map[string]any{media: map[string]any{"schema": schema}}
}

// shapes are the JSON schemas of the types that a document speaks of.
type shapes struct {
	names   map[string]reflect.Type
	schemas map[string]json.RawMessage
	err     error // two types have one name
}

func (s *shapes) operation(r route) (map[string]any, error) {
	operation := map[string]any{"summary": r.does, "operationId": operationID(r), "security": security(r.who)}
	if parameters := parametersOf(r); len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	if r.takes != nil {
		given := closed
		if r.who == instance { // newer ones say more
			given = open
		}
		schema, err := s.ref(r.takes, given)
		if err != nil {
			return nil, err
		}
		operation["requestBody"] = map[string]any{"required": true, "content": content("application/json", schema)}
	}
	responses := map[string]any{"default": map[string]any{"$ref": "#/components/responses/Problem"}}
	if err := s.respond(responses, cmp.Or(r.status, http.StatusOK), r.media, r.gives); err != nil {
		return nil, err
	}
	if r.preview != nil {
		if err := s.respond(responses, http.StatusOK, "", r.preview); err != nil {
			return nil, err
		}
	}
	operation["responses"] = responses
	return operation, nil
}

// respond enters what is answered with a status.
func (s *shapes) respond(responses map[string]any, status int, media string, shape reflect.Type) error {
	response := map[string]any{"description": http.StatusText(status)}
	responses[strconv.Itoa(status)] = response
	switch {
	case shape != nil:
		schema, err := s.ref(shape, open)
		if err != nil {
			return err
		}
		response["content"] = content("application/json", schema)
	case media != "":
		response["content"] = content(media, map[string]any{})
	}
	return nil
}

// security is what a request must carry. A browser's session is none of a program's.
func security(who audience) []any {
	switch who {
	case anybody:
		return []any{}
	case instance:
		return []any{map[string]any{"instance": []string{}}}
	}
	return []any{map[string]any{"token": []string{}}}
}

// operationID is unique, and reads well as the name of a function.
func operationID(r route) string {
	var id strings.Builder
	id.WriteString(strings.ToLower(r.method))
	for part := range strings.SplitSeq(strings.TrimPrefix(r.path, "/api/v1"), "/") {
		part = strings.TrimSuffix(strings.TrimPrefix(part, ":"), ".json")
		if part != "" {
			id.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return id.String()
}

func parametersOf(r route) []any {
	var all []any
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			all = append(all, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, p := range r.query {
		schema := map[string]any{"type": "string"}
		if p.kind != "" {
			schema["type"] = p.kind
		}
		if p.many {
			schema = map[string]any{"type": "array", "items": schema}
		}
		all = append(all, map[string]any{"name": p.name, "in": "query", "description": p.means, "schema": schema})
	}
	if r.once {
		all = append(all, map[string]any{"name": api.HeaderKey, "in": "header", "description": "of your choice, the same whenever the same is asked again", "schema": map[string]any{"type": "string", "maxLength": mostKey}})
	}
	return all
}

// An openness says whether JSON may have fields that its type does not.
type openness bool

const (
	closed openness = false // of what people send: a misspelt field is an error
	open   openness = true  // of what is shown, which newer consoles show more of
)

// ref is a reference to the schema of a type, which is entered with all that it is made of.
func (s *shapes) ref(t reflect.Type, o openness) (json.RawMessage, error) {
	reflector := jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: bool(o), Namer: s.name, Mapper: mapped}
	schema := reflector.ReflectFromType(t)
	if s.err != nil {
		return nil, s.err
	}
	schema.Version = ""
	definitions := schema.Definitions
	schema.Definitions = nil
	for name, definition := range definitions {
		text, err := refer(definition)
		if err != nil {
			return nil, err
		}
		s.schemas[name] = text
	}
	return refer(schema)
}

// refer writes a schema, with references as an OpenAPI document has them.
func refer(schema *jsonschema.Schema) (json.RawMessage, error) {
	text, err := json.Marshal(schema)
	return bytes.ReplaceAll(text, []byte(`"#/$defs/`), []byte(`"#/components/schemas/`)), err
}

// name is what a type is called in the document.
func (s *shapes) name(t reflect.Type) string {
	name := t.Name()
	if name == "" {
		return ""
	}
	if path := t.PkgPath(); strings.HasSuffix(path, "/apps") {
		name = "Manifest" + name
	}
	if known := s.names[name]; known != nil && known != t {
		s.err = fmt.Errorf("%v and %v are both called %s", known, t, name)
	}
	s.names[name] = t
	return name
}

// mapped are the types that are written otherwise than their fields look.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == reflect.TypeFor[apps.Manifest]():
		return &jsonschema.Schema{Type: "object", Description: "an app.yaml; docs/manifest.md says what its fields mean"}
	case t != reflect.TypeFor[time.Time]() && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}
