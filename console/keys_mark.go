package console

import (
	"bytes"
	"context"
	"errors"
)

// kindKeys is of what is kept of the key file.
const kindKeys Kind = "keys"

// A keyMark tells the key file that a store's secrets were sealed with from others. It
// says nothing about the key.
type keyMark struct {
	ID   string `json:"id"`
	Mark []byte `json:"mark"`
}

func (m keyMark) record() Record { return Record{Kind: kindKeys, ID: m.ID} }

// ErrOtherKeys says that a store's secrets were sealed with another key file.
var ErrOtherKeys = errors.New("this is not the key file that the store's secrets were sealed with: stop the console, and put back the one that was kept beside " +
	"the backups; where that is lost, what was launched before keeps running, and its secrets must be entered anew")

// CheckKeys says whether the key file is the one of the store, and takes it for that
// where there was none. Its error is ErrOtherKeys where it is another.
func (c *Console) CheckKeys(ctx context.Context) error {
	m := keyMark{ID: "key file", Mark: c.opts.Keys.Derive("mark of the key file")}
	return c.store.Update(ctx, func(tx Tx) error {
		kept, err := get[keyMark](tx, m.ID)
		switch {
		case errors.Is(err, ErrNotFound):
			return put(tx, m)
		case err == nil && !bytes.Equal(kept.Mark, m.Mark):
			return ErrOtherKeys
		}
		return err
	})
}
