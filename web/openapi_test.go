package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"popup/web/api"
)

// A contract is the API's document, which every answer in these tests is held against.
type contract struct{ doc *openapi3.T }

func newContract(t testing.TB, text []byte) *contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	must(t, err)
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the document of the API is none: %v", err)
	}
	return &contract{doc}
}

// operation finds what a request asks for; nil: the document knows of none.
func (c *contract) operation(method, path string) *openapi3.Operation {
	path, _, _ = strings.Cut(path, "?")
	var found *openapi3.Operation
	least := -1
	for pattern, item := range c.doc.Paths.Map() {
		if blanks := matches(pattern, path); blanks >= 0 && (least < 0 || blanks < least) {
			if operation := item.GetOperation(method); operation != nil {
				found, least = operation, blanks
			}
		}
	}
	return found
}

// matches counts the parameters of a pattern that a path matches; -1: it does not.
func matches(pattern, path string) (blanks int) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return -1
	}
	for i := range want {
		switch {
		case strings.HasPrefix(want[i], "{"):
			blanks++
		case want[i] != got[i]:
			return -1
		}
	}
	return blanks
}

// check holds an answer against what the document says of it.
func (c *contract) check(t testing.TB, r request, got exchange) {
	t.Helper()
	operation := c.operation(r.method, r.path)
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	var response *openapi3.ResponseRef
	if operation != nil {
		response = operation.Responses.Value(strconv.Itoa(got.status))
	}
	if response == nil {
		if got.status < 400 {
			t.Errorf("%s %s answers %d, of which the document says nothing", r.method, r.path, got.status)
			return
		}
		response = c.doc.Components.Responses["Problem"]
	}
	if len(response.Value.Content) == 0 {
		if got.body != "" {
			t.Errorf("%s %s answers %d with a body, where the document says none: %s", r.method, r.path, got.status, got.body)
		}
		return
	}
	shape := response.Value.Content.Get(media)
	if shape == nil {
		t.Errorf("%s %s answers %d with %q, of which the document says nothing: %.300s", r.method, r.path, got.status, media, got.body)
		return
	}
	if shape.Schema == nil || !strings.HasSuffix(media, "json") {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		t.Errorf("%s %s answers no JSON: %v", r.method, r.path, err)
		return
	}
	if err := shape.Schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s answers %d with what the document does not say: %v\n%.600s", r.method, r.path, got.status, err, got.body)
	}
}

// TestDocumentNamesEveryRoute: what is declared is described, and nothing else is.
func TestDocumentNamesEveryRoute(t *testing.T) {
	s := newSite(t)
	var described, declared []string
	for path, item := range s.doc.doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	for _, r := range s.routes {
		if strings.HasPrefix(r.path, "/api/") {
			declared = append(declared, r.method+" "+documentPath(r.path))
		}
	}
	slices.Sort(described)
	slices.Sort(declared)
	if !slices.Equal(described, declared) {
		t.Errorf("described are\n%s\nand declared\n%s", strings.Join(described, "\n"), strings.Join(declared, "\n"))
	}
	if len(declared) < 40 {
		t.Errorf("only %d routes are declared", len(declared))
	}
}

// TestContractCatches: an answer that the document does not say is seen.
func TestContractCatches(t *testing.T) {
	s := newSite(t)
	for name, got := range map[string]exchange{
		"another type":    {http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"kind":"person","id":1,"name":"n","role":"owner","reads":false}`},
		"a missing field": {http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"kind":"person","id":"i"}`},
		"an unknown role": {http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"kind":"person","id":"i","name":"n","role":"king","reads":false}`},
		"another status":  {http.StatusAccepted, http.Header{"Content-Type": {"application/json"}}, `{}`},
		"another media":   {http.StatusOK, http.Header{"Content-Type": {"text/html"}}, `{}`},
		"no problem":      {http.StatusNotFound, http.Header{"Content-Type": {api.ProblemType}}, `{"status":"404"}`},
	} {
		seen := &testing.T{}
		s.doc.check(seen, request{method: http.MethodGet, path: "/api/v1/me"}, got)
		if !seen.Failed() {
			t.Errorf("%s is not seen", name)
		}
	}
}
