package console

import (
	"errors"
	"strings"
	"time"
)

// A FieldError says what is wrong with one thing that was given, and what to try.
type FieldError struct {
	Field   string `json:"field"` // as the API names it: apps[0].settings.TITLE
	Message string `json:"message"`
}

// An InputError is all that is wrong with what was given. Nothing was done.
type InputError struct{ Fields []FieldError }

func (e *InputError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(texts, "; ")
}

// wrong collects what is wrong with an input.
type wrong struct{ fields []FieldError }

func (w *wrong) add(field, message string) { w.fields = append(w.fields, FieldError{field, message}) }

// check adds an error, if there is one.
func (w *wrong) check(field string, err error) {
	var input *InputError
	switch {
	case err == nil:
	case errors.As(err, &input):
		for _, f := range input.Fields {
			w.add(field+"."+f.Field, f.Message)
		}
	default:
		w.add(field, err.Error())
	}
}

// err is an *InputError, or nil where nothing is wrong.
func (w *wrong) err() error {
	if len(w.fields) == 0 {
		return nil
	}
	return &InputError{w.fields}
}

// A ConflictError says that things are not as that takes them for: a sentence with
// what to try.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }

// A BusyError asks to come back later.
type BusyError struct {
	Reason string
	After  time.Duration
}

func (e *BusyError) Error() string { return e.Reason }
