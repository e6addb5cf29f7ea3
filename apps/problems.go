package apps

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a manifest or with the settings of a launch.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1; 0: not from a text
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"` // data.sync.schedule, packages.apt[2]; empty: the whole file
	Message string `json:"message"`         // what is wrong, and why
	Hint    string `json:"hint,omitempty"`  // what to try
}

// String is one line: file:line:column: field: message — hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" — " + p.Hint)
	}
	return b.String()
}

// Problems is every problem that was found, in the order of the text. It is an
// error; a function of this package that returns one never returns an empty one.
type Problems []Problem

// Error has one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// err sorts ps and is nil when there is none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return ps
}

// add notes a problem of a field.
func (ps *Problems) add(field, message, hint string) {
	*ps = append(*ps, Problem{Field: field, Message: message, Hint: hint})
}

// addErr notes what a check said of a field.
func (ps *Problems) addErr(field string, err error) {
	why, hint := whyAndHint(err)
	ps.add(field, why, hint)
}

// A flaw is what is wrong with one value, and what to write instead.
type flaw struct{ why, hint string }

func (f flaw) Error() string {
	if f.hint == "" {
		return f.why
	}
	return f.why + "; " + f.hint
}

func whyAndHint(err error) (why, hint string) {
	var f flaw
	if errors.As(err, &f) {
		return f.why, f.hint
	}
	return err.Error(), ""
}

// inFile is ps with every problem said to be in file.
func (ps Problems) inFile(file string) Problems {
	in := slices.Clone(ps)
	for i := range in {
		in[i].File = file
	}
	return in
}
