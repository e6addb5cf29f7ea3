//go:build dqlite

package dqlite

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"popup/console"
)

const (
	kindToken  console.Kind = "cluster-token"
	kindMember console.Kind = "cluster-member"
)

// usedTime is how long whoever used a token may use it again with the same key: it may
// have been killed before it had the answer.
const usedTime = time.Hour

// A tokenRecord is what is kept of a token, by the hash of its secret.
type tokenRecord struct {
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
	By      string    `json:"by,omitempty"` // whose key used it
}

// A memberRecord is kept of each console that was let in, by the hash of its key.
type memberRecord struct {
	Address string `json:"address"`
}

// The states of a member.
const (
	memberIn   = "in"
	memberGone = "gone" // it left, or was removed: its certificate opens nothing any more
)

// keyID is who a member is, whatever its address: its key, hashed.
func keyID(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "" // no member has such a key
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:16])
}

func putDoc(tx console.Tx, r console.Record, doc any) (err error) {
	if r.Doc, err = json.Marshal(doc); err != nil {
		return err
	}
	return tx.Put(r)
}

// refused is why somebody is not let in; it is for them to read.
type refused string

func (r refused) Error() string { return string(r) }

func hashed(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// tokenIn finds a token that lets a key in at a time.
func tokenIn(tx console.Tx, secret []byte, key string, now time.Time) (t tokenRecord, err error) {
	r, err := tx.Get(kindToken, hashed(secret))
	if errors.Is(err, console.ErrNotFound) {
		return t, refused("nobody made this token here, or it is over for long: make another one with popup console cluster-token")
	}
	if err == nil {
		err = json.Unmarshal(r.Doc, &t)
	}
	switch {
	case err != nil:
		return t, err
	case t.By != "" && (t.By != key || now.After(t.Used.Add(usedTime))):
		return t, refused("this token was used already, and lets one console in: make another one with popup console cluster-token")
	case t.By == "" && now.After(t.Expires):
		return t, refused("this token held until " + t.Expires.UTC().Format(time.RFC3339) + ": make another one with popup console cluster-token")
	}
	return t, nil
}

// newToken writes a token down, and forgets those that are over.
func newToken(tx console.Tx, secret []byte, now, expires time.Time) error {
	all, err := tx.List(console.Query{Kind: kindToken})
	if err != nil {
		return err
	}
	for _, r := range all {
		var t tokenRecord
		if err := json.Unmarshal(r.Doc, &t); err != nil {
			return err
		}
		if now.After(t.Expires.Add(24 * time.Hour)) {
			if err := tx.Delete(kindToken, r.ID); err != nil {
				return err
			}
		}
	}
	return errors.Join(putDoc(tx, console.Record{Kind: kindToken, ID: hashed(secret)}, tokenRecord{Expires: expires}),
		note(tx, "make cluster token", "made a token that lets one console join, until "+expires.UTC().Format(time.RFC3339)))
}

// letIn spends a token on a member. Whoever was at its address before is gone.
func letIn(tx console.Tx, secret []byte, key, address string, now time.Time) error {
	t, err := tokenIn(tx, secret, key, now)
	if err != nil {
		return err
	}
	if t.By == "" {
		t.By, t.Used = key, now
		if err := errors.Join(putDoc(tx, console.Record{Kind: kindToken, ID: hashed(secret)}, t), note(tx, "join cluster", "a console was let in at "+address+" by its token")); err != nil {
			return err
		}
	}
	return enter(tx, key, address)
}

// enter writes down who is the member at an address.
func enter(tx console.Tx, key, address string) error {
	was, err := tx.Get(kindMember, key)
	if err == nil && was.State == memberGone {
		return errGone
	}
	if err != nil && !errors.Is(err, console.ErrNotFound) {
		return err
	}
	if err := leave(tx, address, key); err != nil {
		return err
	}
	return putDoc(tx, console.Record{Kind: kindMember, ID: key, State: memberIn, Sort: address}, memberRecord{address})
}

// leave has all be gone that are at an address, but one.
func leave(tx console.Tx, address, but string) error {
	in, err := tx.List(console.Query{Kind: kindMember, State: memberIn})
	if err != nil {
		return err
	}
	for _, r := range in {
		if r.Sort == address && r.ID != but {
			r.State = memberGone
			if err := tx.Put(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// A roll is who is a member by the records, each by its key.
type roll struct {
	in, gone map[string]bool
	known    map[string]bool // the addresses of both
}

// calledRoll reads all records of members.
func calledRoll(ctx context.Context, s console.Store) (is roll, err error) {
	err = s.View(ctx, func(tx console.Tx) error {
		is = roll{map[string]bool{}, map[string]bool{}, map[string]bool{}}
		for state, keys := range map[string]map[string]bool{memberIn: is.in, memberGone: is.gone} {
			all, err := tx.List(console.Query{Kind: kindMember, State: state})
			if err != nil {
				return err
			}
			for _, r := range all {
				keys[r.ID], is.known[r.Sort] = true, true
			}
		}
		return nil
	})
	return is, err
}

// of is the roll where the records tell of each member. Without, they do not say who else is in.
func (is roll) of(members []Member) roll {
	if slices.ContainsFunc(members, func(m Member) bool { return !is.known[m.Address] }) {
		is.in = nil
	}
	return is
}

func note(tx console.Tx, action, detail string) error {
	return tx.Audit(console.AuditEntry{Actor: console.System.ID, Action: action, Object: "console/" + console.System.ID, Detail: fmt.Sprintf("%s %s", console.System.Name, detail)})
}
