package ec2

import (
	"reflect"
	"strings"
	"testing"
)

// TestNoClientIsMet: what the linker meets from a Cloud must hold no client of the SDK.
func TestNoClientIsMet(t *testing.T) {
	if path := metFrom(reflect.TypeFor[struct{ a []map[string]*Cloud }](), isClient, map[reflect.Type]bool{}); path != "" {
		t.Errorf("a client is met by %s", path)
	}
	if path := metFrom(reflect.TypeFor[func() *region](), func(r reflect.Type) bool { return r == reflect.TypeFor[ec2API]() }, map[reflect.Type]bool{}); path == "" {
		t.Error("what is there is not found")
	}
}

func isClient(r reflect.Type) bool {
	return r.Name() == "Client" && strings.Contains(r.PkgPath(), "aws-sdk-go-v2/service/")
}

// metFrom is the way from a type to one that is wanted; empty: there is none.
func metFrom(r reflect.Type, wanted func(reflect.Type) bool, seen map[reflect.Type]bool) string {
	if wanted(r) {
		return r.String()
	}
	if seen[r] {
		return ""
	}
	seen[r] = true
	var next []reflect.Type
	switch r.Kind() {
	case reflect.Map:
		next = []reflect.Type{r.Key(), r.Elem()}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		next = []reflect.Type{r.Elem()}
	case reflect.Struct:
		for i := range r.NumField() {
			next = append(next, r.Field(i).Type)
		}
	case reflect.Func:
		for i := range r.NumIn() {
			next = append(next, r.In(i))
		}
		for i := range r.NumOut() {
			next = append(next, r.Out(i))
		}
	}
	for _, n := range next {
		if path := metFrom(n, wanted, seen); path != "" {
			return r.String() + " → " + path
		}
	}
	return ""
}
