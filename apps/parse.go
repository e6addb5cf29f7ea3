package apps

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSize is how many bytes an app.yaml may have.
const MaxSize = 256 << 10

const (
	maxNesting  = 32   // of lists and mappings on one line
	maxKeys     = 4096 // the parser's time grows with the square of them
	maxProblems = 100  // are listed; the rest is counted
)

// Parse reads and validates a manifest; name is what its file is called in
// messages. The error is Problems: every problem at once, with line and column.
//
// What is read is plain YAML: one document, without anchors, aliases and tags,
// so that a few bytes cannot stand for many.
func Parse(name string, text []byte) (Manifest, error) { return parse(name, text, foreign{}) }

// ParseDistant is Parse for the manifest of a server, which may name nothing of this machine.
func ParseDistant(name string, text []byte) (Manifest, error) {
	return parse(name, text, foreign{distant: true})
}

// parse is Parse; a manifest from a server names nothing of this machine.
func parse(name string, text []byte, from foreign) (Manifest, error) {
	var m Manifest
	body, problem := readYAML(text)
	if problem != nil {
		problem.File = name
		return Manifest{}, Problems{*problem}
	}
	d := newDecoder()
	d.document(body, &m)
	d.add(m.problems())
	if from.distant {
		d.add(m.localSources(from.given))
	}
	if err := d.problems.first(maxProblems, name); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// first is the first most problems, said to be in file, and how many more there are.
func (ps Problems) first(most int, file string) error {
	err := ps.inFile(file).err()
	if len(ps) <= most {
		return err
	}
	var sorted Problems
	errors.As(err, &sorted)
	return append(sorted[:most:most], Problem{File: file, Message: fmt.Sprintf("%d more problems are not shown", len(ps)-most)})
}

// readYAML is the body of the one document in text.
func readYAML(text []byte) (ast.Node, *Problem) {
	if len(text) > MaxSize {
		return nil, &Problem{Message: fmt.Sprintf("is larger than %s", Size(MaxSize)), Hint: "data belongs into data, not into the manifest"}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if line := notText(text); line > 0 {
		return nil, &Problem{Line: line, Column: 1, Message: "is not text", Hint: "save the file as UTF-8, without control characters"}
	}
	tokens := lexer.Tokenize(string(text))
	if problem := refuseTokens(tokens); problem != nil {
		return nil, problem
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxProblem(err)
	}
	if len(file.Docs) > 1 {
		p := Problem{Message: "holds more than one document", Hint: "remove everything from the second --- on"}
		if start := file.Docs[1].Start; start != nil {
			p.Line, p.Column = start.Position.Line, start.Position.Column
		}
		return nil, &p
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &Problem{Line: 1, Column: 1, Message: "is empty", Hint: "popup init writes one to start from"}
	}
	return file.Docs[0].Body, nil
}

// notText is the first line with something that no text has; 0: none.
func notText(text []byte) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) || bytes.ContainsFunc(line, func(r rune) bool { return isControl(r) && r != '\t' && r != '\r' }) {
			return i + 1
		}
	}
	return 0
}

// refuseTokens refuses what makes YAML large or deep out of a short text, before a parser recurses into it.
func refuseTokens(tokens token.Tokens) *Problem {
	depth, dashes, line, keys := 0, 0, 0, 0
	for _, t := range tokens {
		at := func(message, hint string) *Problem {
			return &Problem{Line: t.Position.Line, Column: max(t.Position.Column, 1), Message: message, Hint: hint}
		}
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return at("anchors and aliases (& * <<) are not read", "write the value out, or put text that begins like this in quotes")
		case token.TagType:
			return at("tags (!) are not read", "leave the tag out, or put text that begins with ! in quotes")
		case token.DirectiveType:
			return at("directives (%) are not read", "leave the line out")
		case token.MappingKeyType:
			return at("a key marked with ? is not read", "write key: value")
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			dashes++
		case token.MappingValueType:
			keys++
		}
		if keys > maxKeys {
			return at(fmt.Sprintf("holds more than %d keys", maxKeys), "data belongs into data, not into the manifest")
		}
		if depth > maxNesting || dashes > maxNesting {
			return at("is nested too deep", fmt.Sprintf("a manifest needs no more than %d levels", maxNesting))
		}
	}
	return nil
}

// syntaxProblem says where the YAML ends to be YAML. The text around is not repeated.
func syntaxProblem(err error) *Problem {
	p := &Problem{Line: 1, Column: 1, Message: "is not YAML"}
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) {
		return p
	}
	p.Message += ": " + strings.ReplaceAll(syntax.Message, "\t", "tab")
	if t := syntax.Token; t != nil {
		p.Line, p.Column = t.Position.Line, max(t.Position.Column, 1)
		if strings.Contains(t.Value, "\t") || strings.Contains(syntax.Message, "\t") {
			p.Hint = "indent with spaces, not with tabs"
		}
	}
	return p
}
