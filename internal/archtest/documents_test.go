package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestManifestIsDocumented: whoever adds a field of app.yaml tells its authors.
func TestManifestIsDocumented(t *testing.T) {
	file, err := parse(filepath.Join(root, "apps", "manifest.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "manifest.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, code := range regexp.MustCompile("`([A-Za-z_.]+)`").FindAllStringSubmatch(string(text), -1) {
		documented[code[1]] = true
	}
	fields := fieldsOf("Manifest", "", structs(file.tree))
	if len(fields) < 50 {
		t.Fatalf("found only %v", fields)
	}
	for _, field := range fields {
		if !documented[field] {
			t.Errorf("docs/manifest.md does not say what %s means", field)
		}
	}
}

// structs are the structs that a file declares, by name.
func structs(tree *ast.File) map[string]*ast.StructType {
	found := map[string]*ast.StructType{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				found[spec.Name.Name] = s
			}
		}
		return true
	})
	return found
}

// fieldsOf are the fields below a struct as an author writes them, like
// service.branch; those of a map's values like env.NAME.type.
func fieldsOf(name, prefix string, all map[string]*ast.StructType) (fields []string) {
	for _, field := range all[name].Fields.List {
		tag, _ := strconv.Unquote(field.Tag.Value) // the file was parsed
		yaml, _, _ := strings.Cut(reflect.StructTag(tag).Get("yaml"), ",")
		path := prefix + yaml
		kind := field.Type
		if pointer, ok := kind.(*ast.StarExpr); ok {
			kind = pointer.X
		}
		if m, ok := kind.(*ast.MapType); ok {
			path, kind = path+".NAME", m.Value
		}
		if ident, ok := kind.(*ast.Ident); ok && all[ident.Name] != nil {
			fields = append(fields, fieldsOf(ident.Name, path+".", all)...)
			continue
		}
		fields = append(fields, path)
	}
	return fields
}
