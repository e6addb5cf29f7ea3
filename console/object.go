package console

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
)

// An object is what is kept as a record: record says all of it but the document.
type object interface{ record() Record }

// put writes an object.
func put(tx Tx, o object) error {
	r := o.record()
	doc, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", r.Kind, r.ID, err)
	}
	r.Doc = doc
	return tx.Put(r)
}

// get reads the object with an id; ErrNotFound where there is none.
func get[T object](tx Tx, id string) (o T, err error) {
	r, err := tx.Get(o.record().Kind, id)
	if err != nil {
		return o, err
	}
	return decode[T](r)
}

// find reads the object with a name; ErrNotFound where there is none.
func find[T object](tx Tx, name string) (o T, err error) {
	r, err := tx.Find(o.record().Kind, name)
	if err != nil {
		return o, err
	}
	return decode[T](r)
}

// list reads all objects that q narrows to, whose Kind is set here.
func list[T object](tx Tx, q Query) (all []T, err error) {
	if err := each(tx, q, func(o T) { all = append(all, o) }); err != nil {
		return nil, err
	}
	return all, nil
}

// each calls fn for every object that q narrows to, whose Kind is set here, without
// holding all of them.
func each[T object](tx Tx, q Query, fn func(T)) error {
	var o T
	q.Kind = o.record().Kind
	return eachRecord(tx, q, func(r Record) error {
		o, err := decode[T](r)
		if err == nil {
			fn(o)
		}
		return err
	})
}

// eachRecord calls fn for every record that q narrows to; it reads q.Limit of them at
// once, or mostListed.
func eachRecord(tx Tx, q Query, fn func(Record) error) error {
	q.Limit = cmp.Or(q.Limit, mostListed)
	for {
		page, err := tx.List(q)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := fn(r); err != nil {
				return err
			}
		}
		if len(page) < q.Limit {
			return nil
		}
		q.After = &page[len(page)-1]
	}
}

// mostListed is what a store lists at once where no limit is given.
const mostListed = 1000

func decode[T object](r Record) (o T, err error) {
	if err := json.Unmarshal(r.Doc, &o); err != nil {
		return o, fmt.Errorf("read %s %s: %w", r.Kind, r.ID, err)
	}
	return o, nil
}

// newID returns letters and digits that nobody guesses: 5 bits of chance each.
func newID(letters int) string {
	b := make([]byte, letters)
	_, _ = rand.Read(b) // it never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))[:letters]
}
