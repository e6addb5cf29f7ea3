package console

import (
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

// list reads the objects that q narrows to, whose Kind is set here. Without a limit
// it pages through all of them.
func list[T object](tx Tx, q Query) (all []T, err error) {
	var o T
	q.Kind = o.record().Kind
	for {
		page, err := tx.List(q)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			o, err := decode[T](r)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		if q.Limit != 0 || len(page) < mostListed {
			return all, nil
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
