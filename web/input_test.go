package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"popup/web/api"
)

// fieldsOf are the fields that a type takes as JSON, as its errors name them, each with
// a value of another kind.
func fieldsOf(t reflect.Type, prefix string) map[string]string {
	found := map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		at := prefix + name
		switch kind.Kind() {
		case reflect.String:
			found[at] = `7`
		case reflect.Struct:
			found[at] = `"text"`
			for name, wrong := range fieldsOf(kind, at+".") {
				found[name] = wrong
			}
		case reflect.Slice:
			found[at] = `"text"`
			if kind.Elem().Kind() == reflect.Struct {
				for name, wrong := range fieldsOf(kind.Elem(), at+"[].") {
					found[name] = wrong
				}
			}
		default: // numbers, yes or no, maps
			found[at] = `"text"`
		}
	}
	return found
}

// nested writes a value at a field like apps[].title.
func nested(field, value string) string {
	head, rest, deeper := strings.Cut(field, ".")
	if !deeper {
		return fmt.Sprintf(`{%q:%s}`, head, value)
	}
	if list, ok := strings.CutSuffix(head, "[]"); ok {
		return fmt.Sprintf(`{%q:[%s]}`, list, nested(rest, value))
	}
	return fmt.Sprintf(`{%q:%s}`, head, nested(rest, value))
}

// errorsOf are the fields that a problem names.
func errorsOf(t *testing.T, got exchange) (fields []string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(got.body), &p); err != nil || p.Status != got.status || p.Detail == "" || p.Request == "" {
		t.Errorf("this is no problem: %d %s", got.status, got.body)
	}
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
	}
	return fields
}

// TestEveryFieldOfEveryBody: a value of another kind is told with the name of its field,
// and so is a field that is not there.
func TestEveryFieldOfEveryBody(t *testing.T) {
	s := newOwnedSite(t)
	for _, r := range s.routes {
		if r.takes == nil || r.who == instance {
			continue
		}
		path := strings.NewReplacer(":id", s.fair).Replace(r.path)
		ask := func(body string, header map[string]string) exchange {
			return s.do(t, request{who: "olga", browser: true, method: r.method, path: path, body: body, header: header})
		}
		for field, wrong := range fieldsOf(r.takes, "") {
			got := ask(nested(field, wrong), nil)
			named := strings.ReplaceAll(field, "[]", "")
			if fields := errorsOf(t, got); got.status != 422 || !slices.Equal(fields, []string{named}) {
				t.Errorf("%s %s with %s as %s: %d names %v", r.method, r.path, field, wrong, got.status, fields)
			}
		}
		if got := ask(`{"no such field":1}`, nil); got.status != 422 || !slices.Equal(errorsOf(t, got), []string{"no such field"}) {
			t.Errorf("%s %s with a field too many: %d %s", r.method, r.path, got.status, got.body)
		}
		for what, test := range map[string]struct {
			body   string
			header map[string]string
			want   int
		}{
			"nothing":              {"", map[string]string{"Content-Type": "application/json"}, 400},
			"half of it":           {`{"a`, nil, 400},
			"two values":           {`{} {}`, nil, 400},
			"a list":               {`[]`, nil, 400},
			"deep nesting":         {strings.Repeat(`{"event":`, 20_000), nil, 400},
			"a form":               {"a=b", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
			"no type":              {`{}`, map[string]string{"Content-Type": ""}, 415},
			"far too much":         {`{"title":"` + strings.Repeat("a", maxBody) + `"}`, nil, 413},
			"far too much, no end": {strings.Repeat(" ", maxBody+1), nil, 413},
		} {
			if got := ask(test.body, test.header); got.status != test.want {
				t.Errorf("%s %s with %s: %d %s", r.method, r.path, what, got.status, got.body)
			}
			errorsOf(t, ask(test.body, test.header))
		}
	}
}

// wicked are values of which none may do anything, wherever they are given.
var wicked = []string{
	"$(touch /tmp/pwned)", "`id`", "; rm -rf /", "a\nb", "a\x00b", "../../etc/passwd", "<script>alert(1)</script>", "{{.}}", "%00", "\u202eevil",
	"http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "http://127.0.0.1:22/", "http://[::1]/", "http://localhost/x.git",
	"ext::sh -c id", "--upload-pack=id", "https://user:s3cret@example.org/x.git", strings.Repeat("a", 100_000),
}

// TestHostileValues: a launch that names something wicked is refused, with the name of
// the field, and nothing is made or fetched.
func TestHostileValues(t *testing.T) {
	s := newOwnedSite(t)
	before := s.do(t, request{who: "olga", method: "GET", path: "/api/v1/instances"}).body
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	for _, field := range []string{"event.name", "event.zone", "event.end", "event.start", "event.freeze", "event.webhook", "cloud", "apps[].app", "apps[].repository", "apps[].service"} {
		for _, value := range append(slices.Clone(wicked), inside.URL+"/x.git") {
			quoted, err := json.Marshal(value)
			must(t, err)
			var body map[string]any
			must(t, json.Unmarshal([]byte(nested(field, string(quoted))), &body))
			complete(body, field)
			text, err := json.Marshal(body)
			must(t, err)
			got := s.do(t, request{who: "otto", method: "POST", path: "/api/v1/launches", body: string(text)})
			named := strings.ReplaceAll(field, "[]", "[0]")
			if fields := errorsOf(t, got); got.status != 422 || !slices.Contains(fields, named) {
				t.Errorf("%s as %.60q: %d names %v, %.200s", field, value, got.status, fields, got.body)
			}
			if len(got.body) > 4000 {
				t.Errorf("%s as %.60q is told in %d bytes", field, value, len(got.body))
			}
			if addressed := strings.HasSuffix(field, "repository") || strings.HasSuffix(field, "service") || strings.HasSuffix(field, "webhook"); addressed && strings.Contains(got.body, "s3cret") {
				t.Errorf("%s: a password is repeated: %s", field, got.body)
			}
		}
	}
	if after := s.do(t, request{who: "olga", method: "GET", path: "/api/v1/instances"}).body; withoutTimes(after) != withoutTimes(before) {
		t.Errorf("something was made:\n%s\n%s", before, after)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("a server of this machine was asked %d times", n)
	}
}

// complete fills a launch with what is right, but for the field that is tried.
func complete(body map[string]any, field string) {
	event, _ := body["event"].(map[string]any)
	if event == nil {
		event = map[string]any{}
	}
	body["event"] = event
	event["title"] = "Hostile"
	if strings.HasPrefix(field, "apps[].") {
		app := body["apps"].([]any)[0].(map[string]any)
		if field == "apps[].service" {
			app["app"] = string(testApp)
		}
		return
	}
	body["apps"] = []any{map[string]any{"app": string(testApp)}}
}

// withoutTimes is a list without what goes on by itself.
func withoutTimes(list string) string {
	var read api.Instances
	if json.Unmarshal([]byte(list), &read) != nil {
		return list
	}
	var ids []string
	for _, i := range read.Instances {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// TestHostileQueries: what is asked for with nonsense is refused by name, or not found;
// it is never the console's fault.
func TestHostileQueries(t *testing.T) {
	s := newOwnedSite(t)
	for _, r := range s.routes {
		if r.method != http.MethodGet || r.stream || r.who == instance {
			continue
		}
		for _, value := range wicked {
			if len(value) > 3000 {
				value = value[:3000]
			}
			path := strings.NewReplacer(":id", url.PathEscape(value), ":name", url.PathEscape(value), ":command", "c", ":n", "1", ":sum", url.PathEscape(value), ":secret", url.PathEscape(value)).Replace(r.path)
			if got := s.do(t, request{who: "olga", browser: true, method: "GET", path: path}); got.status >= 500 || strings.Contains(got.body, "<script>alert") {
				t.Errorf("GET %.100s: %d %.200s", path, got.status, got.body)
			}
			for _, p := range r.query {
				path := strings.NewReplacer(":id", string(testApp)).Replace(r.path) + "?" + url.Values{p.name: {value}}.Encode()
				got := s.do(t, request{who: "olga", method: "GET", path: path})
				if got.status >= 500 {
					t.Errorf("GET %.100s: %d %.200s", path, got.status, got.body)
				}
				if p.kind != "" && (got.status != 422 || !slices.Equal(errorsOf(t, got), []string{p.name})) {
					t.Errorf("GET %.100s: %d %.200s", path, got.status, got.body)
				}
			}
		}
		if r.does == "" || r.query == nil {
			continue
		}
		path := strings.NewReplacer(":id", string(testApp)).Replace(r.path)
		for query, name := range map[string]string{"no-such=1": "no-such", r.query[0].name + "=" + strings.Repeat("a", mostQuery+1): r.query[0].name} {
			if got := s.do(t, request{who: "olga", method: "GET", path: path + "?" + query}); got.status != 422 || !slices.Equal(errorsOf(t, got), []string{name}) {
				t.Errorf("GET %s?%.60s: %d %s", path, query, got.status, got.body)
			}
		}
	}
	for query, name := range map[string]string{"sort=up": "sort", "page_size=501": "page_size", "page_size=-1": "page_size", "health=fine": "health", "page_token=x": "page_token", "q=a&q=b": "q"} {
		if got := s.do(t, request{who: "olga", method: "GET", path: "/api/v1/instances?" + query}); got.status != 422 || !slices.Equal(errorsOf(t, got), []string{name}) {
			t.Errorf("instances?%s: %d %s", query, got.status, got.body)
		}
	}
}

// FuzzLocalPath: a stranger's link sends nobody to another site.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/events", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: a=b", "/\t/evil.example", "", "/x?next=//y", "/%2f/evil", "/.//evil"} {
		f.Add(seed)
	}
	console, _ := url.Parse("https://console.example.org/sign-in")
	f.Fuzz(func(t *testing.T, next string) {
		path := localPath(next)
		to, err := console.Parse(path)
		if err != nil || to.Host != console.Host || to.Scheme != "https" || strings.ContainsAny(path, "\r\n\\") || strings.HasPrefix(path, "//") {
			t.Errorf("%q leads to %q", next, path)
		}
	})
}
