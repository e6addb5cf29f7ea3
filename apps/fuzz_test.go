package apps

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse holds that no text makes Parse panic or return an empty problem, and
// that what parses is written and read again without a change.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		fullManifest, "", "\ufeff# only a comment", "id: x\nid: y", "[[[[", "- - - -", "a: &a [*a]", "? a\n: b", "%YAML 1.2\n---\n",
		"---\n---\n", "env: {A: {value: 0x10, choices: [1e3, .5, ~]}}", "serve: |\n  type", "name: 'x", "a:\n\tb", "data: \"\\u0000\"",
		strings.Replace(fullManifest, "of text.", "of \"text\": 'x' # y \\ \n\n  ---", 1),
		strings.Replace(fullManifest, "make all", "\"\\n - a\\n\\n  b: {c}\\t\\n\"", 1),
		strings.Replace(fullManifest, "Two lines", "é\u00a0😀 \u3000", 1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse("app.yaml", text)
		if err != nil {
			checkProblems(t, err)
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("parsed, but is not valid: %v", err)
		}
		again, err := marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("again.yaml", again)
		if err != nil {
			t.Fatalf("%v\nin what was written:\n%s", err, again)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatalf("changed by writing and reading:\n%s\n%s", diff, again)
		}
		checkJSON(t, m)
	})
}

func checkProblems(t *testing.T, err error) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("the error is not problems: %#v", err)
	}
	for _, p := range problems {
		if p.Message == "" || p.File == "" || strings.ContainsAny(p.String(), "\n\r\x00\x1b") {
			t.Fatalf("not a line of its own: %q", p.String())
		}
	}
}

func checkJSON(t *testing.T, m Manifest) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Manifest
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("%v\nin %s", err, text)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Fatalf("changed by JSON:\n%s", diff)
	}
}

// FuzzWrite holds that a manifest built in code is written so that it is read
// back: whatever text Validate lets through survives YAML and JSON.
func FuzzWrite(f *testing.F) {
	f.Add("a", "b")
	f.Add("- x: 'y' # z", "one\n\n  two \n")
	f.Add("true", "0x10")
	f.Add("é 😀", "\n lead")
	f.Add("? x", "\tx: y\n\tz")
	f.Add("?", "-\tx")
	f.Add("...", "---")
	f.Add("~", "\u00a0")
	f.Add("x:", ":\tx")
	f.Fuzz(func(t *testing.T, line, text string) {
		m := Manifest{
			ManifestVersion: ManifestVersion, ID: "x", Name: line, Description: text, Keywords: []string{line}, License: line,
			BuildCommand: text, Serve: Serve{Type: ServeCommand, StartCommand: text}, HealthCheck: HealthCheck{Contains: text},
			Env: map[string]EnvVar{"A": {Value: text, Description: line, Choices: []string{text}}},
		}
		if m.Validate() != nil {
			return
		}
		written, err := marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("written.yaml", written)
		if err != nil {
			t.Fatalf("%v\nin what was written:\n%s", err, written)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatalf("changed by writing and reading:\n%s\n%s", diff, written)
		}
		checkJSON(t, m)
	})
}
