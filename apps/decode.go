package apps

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A decoder fills a manifest from a YAML tree and goes on after a problem. It
// keeps where each field stands, so that later checks can say it too.
type decoder struct {
	problems Problems
	at       map[string]*token.Position // by field
	faulty   map[string]bool            // fields with a problem: no more is said about them
}

func newDecoder() *decoder {
	return &decoder{at: map[string]*token.Position{}, faulty: map[string]bool{}}
}

func (d *decoder) document(body ast.Node, m *Manifest) {
	d.at[""] = &token.Position{Line: 1, Column: 1}
	d.value(body, reflect.ValueOf(m).Elem(), "", false)
}

// problem notes what is wrong with a field.
func (d *decoder) problem(field, message, hint string) {
	pos := d.position(field)
	d.faulty[field] = true
	d.problems = append(d.problems, Problem{Line: pos.Line, Column: max(pos.Column, 1), Field: field, Message: message, Hint: hint})
}

// position is where a field stands, or the innermost field around it that was written.
func (d *decoder) position(field string) *token.Position {
	for {
		if pos, ok := d.at[field]; ok {
			return pos
		}
		field = parent(field)
	}
}

// parent is the field that field stands in; empty is the whole file.
func parent(field string) string {
	return field[:max(strings.LastIndexAny(field, ".["), 0)]
}

// add adds what a check of the manifest found, with positions. A field that has
// a problem already, and everything in it, is left out.
func (d *decoder) add(found Problems) {
	for _, p := range found {
		if !d.hasProblem(p.Field) {
			d.problem(p.Field, p.Message, p.Hint)
		}
	}
}

func (d *decoder) hasProblem(field string) bool {
	for ; field != ""; field = parent(field) {
		if d.faulty[field] {
			return true
		}
	}
	return d.faulty[""]
}

// value reads node into v. When loose, a number or true stands for its text as it was written.
func (d *decoder) value(node ast.Node, v reflect.Value, field string, loose bool) {
	if _, null := node.(*ast.NullNode); null || node == nil {
		d.problem(field, "has no value", "write one, or remove the key")
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.textValue(node, text, v.Type(), field)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(node, v.Elem(), field, loose)
	case reflect.Struct:
		d.structValue(node, v, field)
	case reflect.Map:
		d.mapValue(node, v, field)
	case reflect.Slice:
		d.listValue(node, v, field, loose)
	default:
		d.scalarValue(node, v, field, loose)
	}
}

func (d *decoder) textValue(node ast.Node, into encoding.TextUnmarshaler, t reflect.Type, field string) {
	text, _, ok := scalar(node)
	if !ok {
		d.wrongType(node, t, field)
		return
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		why, hint := whyAndHint(err)
		d.problem(field, why, hint)
	}
}

func (d *decoder) structValue(node ast.Node, v reflect.Value, field string) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		d.wrongType(node, v.Type(), field)
		return
	}
	fields := fieldsOf(v.Type())
	loose := v.Type() == reflect.TypeFor[EnvVar]()
	for key, value := range d.pairs(mapping, field) {
		index, known := fields[key]
		if known {
			d.value(value, v.Field(index), join(field, key), loose)
			continue
		}
		names := slices.Collect(maps.Keys(fields))
		d.problem(join(field, key), "unknown key "+quote(key), didYouMean(key, names))
		if near := Nearest(key, names); near != "" {
			d.faulty[join(field, near)] = true // it is there, under a wrong name
		}
	}
}

func (d *decoder) mapValue(node ast.Node, v reflect.Value, field string) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		d.wrongType(node, v.Type(), field)
		return
	}
	if len(mapping.Values) > 0 { // {} is the same as nothing
		v.Set(reflect.MakeMap(v.Type()))
	}
	for key, value := range d.pairs(mapping, field) {
		entry := reflect.New(v.Type().Elem()).Elem()
		if _, null := value.(*ast.NullNode); !null { // an entry without a value has all defaults
			d.value(value, entry, join(field, key), false)
		}
		v.SetMapIndex(reflect.ValueOf(key), entry)
	}
}

// pairs yields each key once; the second of two alike is a problem.
func (d *decoder) pairs(mapping *ast.MappingNode, field string) func(yield func(string, ast.Node) bool) {
	return func(yield func(string, ast.Node) bool) {
		seen := map[string]*token.Position{}
		for _, pair := range mapping.Values {
			at := pair.Key.GetToken()
			key := at.Value
			name := join(field, key)
			if first, twice := seen[key]; twice {
				d.problems = append(d.problems, Problem{
					Line: at.Position.Line, Column: max(at.Position.Column, 1), Field: name,
					Message: fmt.Sprintf("stands twice, first in line %d", first.Line), Hint: "remove one",
				})
				continue
			}
			seen[key] = at.Position
			d.at[name] = at.Position
			if !yield(key, pair.Value) {
				return
			}
		}
	}
}

func (d *decoder) listValue(node ast.Node, v reflect.Value, field string, loose bool) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.wrongType(node, v.Type(), field)
		return
	}
	if len(sequence.Values) > 0 { // [] is the same as nothing
		v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	}
	for i, item := range sequence.Values {
		name := fmt.Sprintf("%s[%d]", field, i)
		if item != nil {
			d.at[name] = item.GetToken().Position
		}
		d.value(item, v.Index(i), name, loose)
	}
}

func (d *decoder) scalarValue(node ast.Node, v reflect.Value, field string, loose bool) {
	text, isText, ok := scalar(node)
	if !ok {
		d.wrongType(node, v.Type(), field)
		return
	}
	switch n := node.(type) {
	case *ast.IntegerNode:
		if i, fits := integer(n.Value); fits && v.CanInt() {
			v.SetInt(i)
			return
		} else if fits && v.CanFloat() {
			v.SetFloat(float64(i))
			return
		}
	case *ast.FloatNode:
		if v.CanFloat() {
			v.SetFloat(n.Value)
			return
		}
	case *ast.BoolNode:
		if v.Kind() == reflect.Bool {
			v.SetBool(n.Value)
			return
		}
	}
	if v.Kind() == reflect.String && (isText || loose) {
		v.SetString(text)
		return
	}
	d.wrongType(node, v.Type(), field)
}

func integer(value any) (int64, bool) {
	switch i := value.(type) {
	case int64:
		return i, true
	case uint64:
		return int64(i), i <= math.MaxInt64
	}
	return 0, false
}

// scalar is the text of a node that is no list and no mapping, and whether YAML takes it for text.
func scalar(node ast.Node) (text string, isText, ok bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, false, true
	}
	return "", false, false
}

// wrongType says what a field wants and what it got.
func (d *decoder) wrongType(node ast.Node, want reflect.Type, field string) {
	text, isText, isScalar := scalar(node)
	got, hint := "a mapping", ""
	switch {
	case isText:
		got = "the text " + quote(text)
	case isScalar:
		got = strings.Trim(quote(text), `"`)
	case node.Type() == ast.SequenceType:
		got = "a list"
	}
	switch {
	case want.Kind() == reflect.String && isScalar:
		hint = "put it in quotes: " + quote(text)
	case want.Kind() == reflect.Slice && isScalar:
		hint = "write [" + strings.Trim(quote(text), `"`) + "]"
	}
	d.problem(field, fmt.Sprintf("want %s, got %s", describe(want), got), hint)
}

func describe(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return "a duration, like 90s or 7d"
	case reflect.TypeFor[Size]():
		return "a size, like 500 MB"
	case reflect.TypeFor[Percent]():
		return "a percentage, like 40%"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping (key: value)"
	case reflect.Slice:
		return "a list"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

// plainKey is what a key may look like to be named as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func join(field, key string) string {
	if !plainKey.MatchString(key) {
		key = quote(key)
	}
	if field == "" {
		return key
	}
	return field + "." + key
}

// fieldsOf are a struct's fields by their key.
func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		fields[key] = i
	}
	return fields
}
