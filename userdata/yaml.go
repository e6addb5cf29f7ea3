package userdata

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// What YAML may have: the decoder's time and stack grow with both.
const (
	maxNesting = 32   // of lists and mappings written on one line
	maxKeys    = 4096 // and list entries
)

// unmarshal is yaml.Unmarshal for text that a stranger may have written, and
// that is bounded in length.
func unmarshal(text []byte, into any) (err error) {
	defer func() {
		if recover() != nil { // the decoder panics on some text that is not YAML
			err = errors.New("it is not YAML")
		}
	}()
	if err := checkYAML(text); err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return errors.New(yaml.FormatError(err, false, false)) // without the lines around, which may hold a secret
	}
	return nil
}

// checkYAML refuses what makes much out of a short text, before a parser
// recurses into it.
func checkYAML(text []byte) error {
	nested, dashes, entries, line := 0, 0, 0, 0
	for _, t := range lexer.Tokenize(string(text)) {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType, token.MappingKeyType:
			return fmt.Errorf("line %d: anchors, aliases, tags, directives and keys marked with ? are not read", line)
		case token.MappingStartType, token.SequenceStartType:
			nested++
		case token.MappingEndType, token.SequenceEndType:
			nested--
		case token.SequenceEntryType:
			dashes++
			entries++
		case token.MappingValueType, token.CollectEntryType:
			entries++
		}
		if nested > maxNesting || dashes > maxNesting {
			return fmt.Errorf("line %d: it is nested deeper than %d levels", line, maxNesting)
		}
		if entries > maxKeys {
			return fmt.Errorf("line %d: it has more than %d entries", line, maxKeys)
		}
	}
	return nil
}
