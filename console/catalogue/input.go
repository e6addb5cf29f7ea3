package catalogue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"popup/internal/git"
	"popup/internal/guard"
	"popup/internal/tree"
)

// An InputError is what is wrong with what a person gave.
type InputError struct {
	Field   string // as the API names it
	Message string
	Try     string // may be empty
	Err     error  // what it was found out by; may be nil
}

func (e *InputError) Error() string {
	text := e.Field + ": " + e.Message
	if e.Try != "" {
		text += "; " + e.Try
	}
	return text
}

func (e *InputError) Unwrap() error { return e.Err }

// repositoryField is what the address of a repository is given as.
const repositoryField = "repository"

// badRepository says what is wrong with an address, by an error like "why; what to try".
func badRepository(err error) *InputError {
	why, try, _ := strings.Cut(err.Error(), "; ")
	return &InputError{Field: repositoryField, Message: why, Try: try, Err: err}
}

// errSlow is why an Inspect was given up.
var errSlow = fmt.Errorf("looking at a repository takes longer than %v", inspectTimeout)

// refusal says why a repository cannot be looked at: *InputError where it is at fault,
// and else the error as it is.
func refusal(ctx context.Context, err error) error {
	var refused *guard.RefusedError
	var limit *tree.LimitError
	var entry *tree.EntryError
	var known *git.Error
	e := &InputError{Field: repositoryField, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return err
	case errors.Is(context.Cause(ctx), errSlow):
		e.Message, e.Try = errSlow.Error(), "try again later, or a smaller repository"
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused):
		e.Message, e.Try = refused.Why(), refused.Try()
	case errors.As(err, &limit):
		e.Message = fmt.Sprintf("it holds more than is fetched to look at it, which is %s and %d files", tree.Bytes(inspectBytes), inspectFiles)
		e.Try = "keep data in a repository of its own"
	case errors.As(err, &entry):
		e.Message = entry.Error()
	case errors.As(err, &known):
		e.Message, e.Try = known.Why, hint(known)
		if e.Message == "" && known.Err != nil {
			e.Message = git.Redact(known.Err.Error())
		}
	default:
		return err
	}
	return e
}

// hint is what to try, for somebody who signs in nowhere and has no file on the console.
func hint(e *git.Error) string {
	switch e.Class {
	case git.NotRepository, git.Credentials:
		return "check the address; a console looks only at what everybody may read"
	case git.HostKey:
		return "use the repository's https address, or ask whoever runs the console to make the host's key known to it"
	case git.TooLarge:
		return "keep data in a repository of its own"
	}
	return e.Hint
}
