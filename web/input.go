package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"popup/console"
)

// wrongField is an error about one thing that was given.
func wrongField(field, message string) error {
	return &console.InputError{Fields: []console.FieldError{{Field: field, Message: message}}}
}

// read takes the JSON of a request apart. What it says too much, or in the wrong way,
// is told with the name of the field.
func read[In any](c *gin.Context) (in In, err error) {
	media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || media != "application/json" {
		return in, errMedia
	}
	decoder := json.NewDecoder(c.Request.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return in, jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return in, jsonError(errors.Join(err, errors.New("there is more than one value")))
	}
	return in, nil
}

// jsonError says what is wrong with JSON, and never more of it than a name.
func jsonError(err error) error {
	var (
		kind  *json.UnmarshalTypeError
		large *http.MaxBytesError
	)
	switch {
	case errors.As(err, &large):
		return err
	case errors.As(err, &kind) && kind.Field != "":
		return wrongField(kind.Field, "a "+jsonKind(kind)+" belongs here, not a "+kind.Value)
	case strings.HasPrefix(err.Error(), unknownField):
		name, quoted := strconv.Unquote(strings.TrimPrefix(err.Error(), unknownField))
		if quoted == nil {
			return wrongField(short(name), "there is no such field here; /api/v1/openapi.json names them all")
		}
	}
	return &malformed{"the body is not the JSON that belongs here; /api/v1/openapi.json says how it looks"}
}

// unknownField is how encoding/json begins to say that; it has no type for it.
const unknownField = "json: unknown field "

// short keeps a stranger's name from filling an answer.
func short(name string) string {
	if len(name) > 100 {
		return strings.ToValidUTF8(name[:100], "") + "…"
	}
	return name
}

// jsonKind is what was expected, in JSON's words.
func jsonKind(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"), strings.HasPrefix(kind, "float"):
		return "number"
	case kind == "bool":
		return "yes or no (true or false)"
	case kind == "slice":
		return "list"
	case kind == "struct", kind == "map":
		return "object"
	default:
		return "text"
	}
}

// formError says what is wrong with a form that cannot be read.
func formError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return &malformed{"the form cannot be read; go back, load the page again, and send it once more"}
}

// checkQuery refuses what a route does not know, or not twice: a misspelt filter must
// not look like one that found everything.
func checkQuery(given url.Values, known []parameter) error {
	var fields []console.FieldError
	for name, values := range given {
		i := slices.IndexFunc(known, func(p parameter) bool { return p.name == name })
		switch {
		case i < 0:
			fields = append(fields, console.FieldError{Field: short(name), Message: "there is no such parameter here; /api/v1/openapi.json names them all"})
		case len(values) > 1 && !known[i].many:
			fields = append(fields, console.FieldError{Field: name, Message: "give it once"})
		case slices.ContainsFunc(values, func(v string) bool { return len(v) > mostQuery }):
			fields = append(fields, console.FieldError{Field: name, Message: fmt.Sprintf("give at most %d bytes", mostQuery)})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	slices.SortFunc(fields, func(a, b console.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return &console.InputError{Fields: fields[:min(len(fields), 20)]}
}

// mostQuery bounds a parameter of a query, in bytes.
const mostQuery = 2000

// number reads a parameter that counts, within bounds; def where it is not given.
func number(c *gin.Context, name string, def, most int64) (int64, error) {
	text := c.Query(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, wrongField(name, fmt.Sprintf("give a number from 0 to %d", most))
	}
	return n, nil
}

// truth reads a parameter that is true or false; false where it is not given.
func truth(c *gin.Context, name string) (bool, error) {
	switch c.Query(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, wrongField(name, "give true or false")
}

// signInPath is where who did not sign in is sent, to come back afterwards.
func signInPath(from *url.URL) string {
	return "/sign-in?" + url.Values{"next": {from.RequestURI()}}.Encode()
}

// localPath is where a page may send a browser, of what a stranger's link named: a path
// of this console, or / where it is none.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
