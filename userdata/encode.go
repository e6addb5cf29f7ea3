package userdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"popup/internal/wire"
)

// maxPlan bounds the text of a plan that is read.
const maxPlan = 256 << 10

// EncodePlan writes a plan as config.yaml holds it: YAML for people where that
// comes back as it was, and else JSON, which is YAML too. The text is UTF-8, ends
// with a newline, and holds no character that a block of YAML or a here-document
// would change.
func EncodePlan(plan wire.Plan) ([]byte, error) {
	if plan.Version == 0 {
		plan.Version = wire.PlanVersion
	}
	want, err := json.Marshal(plan)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	text, err := yaml.MarshalWithOptions(plan, yaml.UseLiteralStyleIfMultiline(true), yaml.OmitZero())
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	if isPlain(text) && decodesTo(text, want) {
		return text, nil
	}
	text, err = json.MarshalIndent(plan, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	text = append(escape(text), '\n')
	if !decodesTo(text, want) {
		return nil, errors.New("encode plan: a value in it cannot be written as text; look for bytes that are not UTF-8")
	}
	return text, nil
}

// DecodePlan reads what EncodePlan wrote. Fields it does not know are ignored.
func DecodePlan(text []byte) (plan wire.Plan, err error) {
	if len(text) > maxPlan {
		return wire.Plan{}, fmt.Errorf("decode plan: it has %d bytes; a plan has at most %d", len(text), maxPlan)
	}
	if err := unmarshal(text, &plan); err != nil {
		return wire.Plan{}, fmt.Errorf("decode plan: %w", err)
	}
	switch {
	case plan.Version == 0:
		return wire.Plan{}, errors.New("decode plan: plan_version is missing; this is not a plan")
	case plan.Version > wire.PlanVersion || plan.Version < 0:
		return wire.Plan{}, fmt.Errorf("decode plan: plan_version is %d and this popup reads %d; use a newer popup", plan.Version, wire.PlanVersion)
	}
	return plan, nil
}

var planMark = regexp.MustCompile(`(?m)^[ {]*"?plan_version"? *:`)

// IsPlan tells a plan's text from a manifest's.
func IsPlan(text []byte) bool { return planMark.Match(text) }

// decodesTo tells whether text reads back as the plan that want is the JSON of.
func decodesTo(text, want []byte) bool {
	plan, err := DecodePlan(text)
	if err != nil {
		return false
	}
	got, err := json.Marshal(plan)
	return err == nil && bytes.Equal(got, want)
}

// isPlain tells whether every reader of YAML leaves text as it is, even inside
// a block: no control character, no line break but \n, nothing invisible, and no
// empty line at the end.
func isPlain(text []byte) bool {
	return utf8.Valid(text) && !bytes.HasSuffix(text, []byte("\n\n")) && !strings.ContainsFunc(string(text), func(r rune) bool { return r != '\n' && needsEscape(r) })
}

func needsEscape(r rune) bool {
	return !unicode.IsPrint(r) || r == utf8.RuneError
}

// escape writes what isPlain refuses as \u escapes. In JSON such characters
// stand in strings only.
func escape(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || !needsEscape(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r) // YAML's, not JSON's: surrogates are no characters to YAML
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}
