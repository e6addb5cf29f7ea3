package console

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"popup/internal/wire"
)

// What is kept of the commands of one instance.
const (
	mostWaiting  = 20 // that were not answered yet; no more are taken
	mostAnswered = 20 // the newest
)

// Command has an instance do something; the order's result comes with a later report.
// Of command only Verb and Args count. Its errors: *InputError for a verb or an argument
// that is not known, *ConflictError where the instance is over or has enough to do.
func (c *Console) Command(ctx context.Context, a Actor, instance string, command wire.Command) (Order, error) {
	if err := checkCommand(command); err != nil {
		return Order{}, err
	}
	o := Order{Command: wire.Command{ID: newID(20), Verb: command.Verb, Args: command.Args}, By: a.ID, At: c.now()}
	verb := Help
	if command.Verb == wire.VerbEnd {
		verb = Manage
	}
	err := c.change(ctx, a, verb, instance, func(tx Tx, _ Event, i *Instance) error {
		if slices.ContainsFunc(i.Commands, func(was Order) bool { return was.ID == o.ID }) {
			return nil // it was done, and its answer was lost
		}
		if len(i.waiting()) >= mostWaiting {
			return &ConflictError{fmt.Sprintf("%s was told %d things that it has not answered yet; wait until it has, or look at whether it still reports", i.ID, mostWaiting)}
		}
		i.Commands = append(i.Commands, o)
		return c.audit(tx, a, "command", "instance/"+i.ID, sentenceOf(command))
	})
	return o, err
}

// change lets fn change an instance on an actor's behalf, in one transaction; when it
// returns, the fleet knows.
func (c *Console) change(ctx context.Context, a Actor, v Verb, instance string, fn func(Tx, Event, *Instance) error) error {
	err := c.store.Update(ctx, func(tx Tx) error {
		i, e, err := c.instanceFor(tx, a, v, instance)
		if err != nil {
			return err
		}
		if i.State.Over() {
			return &ConflictError{fmt.Sprintf("%s is over; launch another one", i.ID)}
		}
		if err := fn(tx, e, &i); err != nil {
			return err
		}
		return put(tx, i)
	})
	if err == nil {
		c.fleet.refresh(ctx)
	}
	return err
}

// instanceFor reads an instance and its event for an actor who wants that with it.
func (c *Console) instanceFor(tx Tx, a Actor, v Verb, id string) (Instance, Event, error) {
	if err := authorise(a, See, target{}); err != nil {
		return Instance{}, Event{}, err
	}
	i, err := get[Instance](tx, id)
	if err != nil {
		return Instance{}, Event{}, err
	}
	e, err := get[Event](tx, i.Event)
	if err != nil {
		return Instance{}, Event{}, err
	}
	return i, e, authorise(a, v, e.target())
}

// waiting are the commands that were not answered yet.
func (i *Instance) waiting() []Order {
	return slices.DeleteFunc(slices.Clone(i.Commands), func(o Order) bool { return o.Result != nil })
}

// answered notes what became of a command, and forgets the oldest of those that are done.
func (i *Instance) answered(result wire.Result) {
	for k := range i.Commands {
		if o := &i.Commands[k]; o.ID == result.ID && o.Result == nil {
			result.Text = cut(result.Text, longestText)
			o.Result = &result
		}
	}
	done := len(i.Commands) - len(i.waiting())
	i.Commands = slices.DeleteFunc(i.Commands, func(o Order) bool {
		drop := o.Result != nil && done > mostAnswered
		if drop {
			done--
		}
		return drop
	})
}

// commandArgs are the verbs, each with the arguments it takes.
var commandArgs = map[string][]string{
	wire.VerbSync: nil, wire.VerbRetry: nil, wire.VerbRestart: nil, wire.VerbLogs: nil, wire.VerbDrain: nil, wire.VerbEnd: nil,
	wire.VerbRollback: {"what", "to"}, wire.VerbRelease: {"what"},
}

// revisionForm is of what a roll back may be to.
var revisionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func checkCommand(command wire.Command) error {
	var w wrong
	takes, known := commandArgs[command.Verb]
	if !known {
		w.add("verb", "it is one of sync, retry, rollback, release, restart, logs, drain and end")
		return w.err()
	}
	for name := range command.Args {
		if !slices.Contains(takes, name) {
			w.add("args."+cut(name, longestShort), command.Verb+" does not take it")
		}
	}
	if what := command.Args["what"]; len(takes) > 0 && what != "service" && what != "data" {
		w.add("args.what", "it is service or data")
	}
	if to := command.Args["to"]; to != "" && !revisionForm.MatchString(to) {
		w.add("args.to", "it is a commit or a revision: up to 128 letters, digits, dots, - and _; leave it out for the one before")
	}
	return w.err()
}

// sentenceOf is a command as the audit log has it; its arguments were checked.
func sentenceOf(command wire.Command) string {
	words := []string{command.Verb, command.Args["what"]}
	if to := command.Args["to"]; to != "" {
		words = append(words, "to", to)
	}
	return strings.TrimSpace(strings.Join(words, " "))
}
