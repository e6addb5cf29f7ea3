package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"popup/console"
)

// Get implements console.Tx.
func (t *tx) Get(kind console.Kind, id string) (console.Record, error) {
	return t.only(kind, "id", id)
}

// Find implements console.Tx.
func (t *tx) Find(kind console.Kind, name string) (console.Record, error) {
	return t.only(kind, "name", name)
}

func (t *tx) only(kind console.Kind, column, value string) (console.Record, error) {
	if !isText(string(kind), value) { // a driver might cut it short, and find another one
		return console.Record{}, console.ErrNotFound
	}
	records, err := t.records(kind, column+" = ?", []any{value}, "")
	if err == nil && len(records) == 0 {
		err = console.ErrNotFound
	}
	if err != nil {
		return console.Record{}, err
	}
	return records[0], nil
}

// List implements console.Tx.
func (t *tx) List(q console.Query) ([]console.Record, error) {
	if q.Kind == "" {
		return nil, fmt.Errorf("list records: say of which kind")
	}
	where, order, args := "1", "sort", []any{}
	and := func(condition string, values ...any) {
		where += " AND " + condition
		args = append(args, values...)
	}
	if q.Parent != "" {
		and("parent = ?", q.Parent)
	}
	if q.State != "" {
		and("state = ?", q.State)
	}
	if q.Except != "" {
		and("state <> ?", q.Except)
	}
	if !q.Due.IsZero() {
		order = "due"
		and("due <= ?", q.Due.UnixMilli())
	}
	if q.After != nil {
		from := any(q.After.Sort)
		if order == "due" {
			from = q.After.Due.UnixMilli()
		}
		and("("+order+", id) > (?, ?)", from, q.After.ID)
	}
	return t.records(q.Kind, where, append(args, limit(q.Limit)), "ORDER BY "+order+", id LIMIT ?")
}

func (t *tx) records(kind console.Kind, where string, args []any, tail string) (found []console.Record, err error) {
	err = t.query(func(rows *sql.Rows) error {
		r := console.Record{Kind: kind}
		var name sql.NullString
		var due sql.NullInt64
		err := rows.Scan(&r.ID, &name, &r.Parent, &r.Topic, &r.State, &r.Sort, &due, &r.Doc, &r.Change)
		if r.Name = name.String; due.Valid {
			r.Due = time.UnixMilli(due.Int64).UTC()
		}
		found = append(found, r)
		return err
	}, "SELECT id, name, parent, topic, state, sort, due, doc, change FROM objects WHERE kind = ? AND "+where+" "+tail,
		append([]any{string(kind)}, args...)...)
	return found, err
}

// Put implements console.Tx.
func (t *tx) Put(r console.Record) error {
	if err := t.writable(); err != nil {
		return err
	}
	if err := flaw(r); err != nil {
		return err
	}
	was, err := t.records(r.Kind, "id = ?", []any{r.ID}, "")
	if err != nil || len(was) == 1 && same(was[0], r) {
		return err
	}
	if r.Name != "" && (len(was) == 0 || was[0].Name != r.Name) {
		taken, err := t.records(r.Kind, "name = ?", []any{r.Name}, "")
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			return console.ErrTaken
		}
	}
	if r.Quiet && len(was) == 1 {
		tells := t.wrote
		err := t.write(r, was[0].Change)
		t.wrote = tells
		return err
	}
	change, err := t.note(r.Kind, r.ID, r.Topic, false)
	if err != nil {
		return err
	}
	return t.write(r, change)
}

// write writes a record as it is.
func (t *tx) write(r console.Record, change int64) error {
	name := sql.NullString{String: r.Name, Valid: r.Name != ""}
	due := sql.NullInt64{Int64: r.Due.UnixMilli(), Valid: !r.Due.IsZero()}
	if r.Doc == nil {
		r.Doc = []byte{}
	}
	return t.exec(`INSERT INTO objects (kind, id, name, parent, topic, state, sort, due, doc, change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name, parent = excluded.parent, topic = excluded.topic, state = excluded.state,
		sort = excluded.sort, due = excluded.due, doc = excluded.doc, change = excluded.change`,
		string(r.Kind), r.ID, name, r.Parent, r.Topic, r.State, r.Sort, due, r.Doc, change)
}

// same says whether a record is as it was, apart from the change that wrote it.
func same(was, is console.Record) bool {
	return was.Name == is.Name && was.Parent == is.Parent && was.Topic == is.Topic && was.State == is.State && was.Sort == is.Sort &&
		was.Due.UnixMilli() == is.Due.UnixMilli() && bytes.Equal(was.Doc, is.Doc)
}

// flaw says what is wrong with a record.
func flaw(r console.Record) error {
	if r.Kind == "" || r.ID == "" {
		return fmt.Errorf("put record %q of kind %q: it needs both an id and a kind", r.ID, r.Kind)
	}
	if !isText(string(r.Kind), r.ID, r.Name, r.Parent, r.Topic, r.State, r.Sort) {
		return fmt.Errorf("put %s %q, named %q: a zero byte, or one that is not UTF-8, is in its fields", r.Kind, r.ID, r.Name)
	}
	return nil
}

// isText says whether every driver keeps the strings as they are.
func isText(all ...string) bool {
	for _, s := range all {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}

// Delete implements console.Tx.
func (t *tx) Delete(kind console.Kind, id string) error {
	if err := t.writable(); err != nil {
		return err
	}
	var topic string
	found, err := t.one([]any{&topic}, "SELECT topic FROM objects WHERE kind = ? AND id = ?", string(kind), id)
	if err != nil || !found {
		return err
	}
	if _, err := t.note(kind, id, topic, true); err != nil {
		return err
	}
	return t.exec("DELETE FROM objects WHERE kind = ? AND id = ?", string(kind), id)
}
