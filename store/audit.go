package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"popup/console"
)

// Audit implements console.Tx. An entry without a time is of now. What is no text in it
// is replaced, since what a stranger typed must not keep it from being noted.
func (t *tx) Audit(e console.AuditEntry) error {
	if err := t.writable(); err != nil {
		return err
	}
	last, err := t.AuditLog(0, 1)
	if err != nil {
		return err
	}
	e.Seq, e.Prev = 1, []byte{}
	if len(last) > 0 {
		e.Seq, e.Prev = last[0].Seq+1, last[0].Hash
	}
	if e.At.IsZero() {
		e.At = t.store.opts.Now()
	}
	e.At = time.UnixMilli(e.At.UnixMilli())
	for _, field := range []*string{&e.Actor, &e.Action, &e.Object, &e.Detail} {
		*field = strings.ToValidUTF8(strings.ReplaceAll(*field, "\x00", "\uFFFD"), "\uFFFD")
	}
	return t.exec("INSERT INTO audit (seq, at, actor, action, object, detail, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		e.Seq, e.At.UnixMilli(), e.Actor, e.Action, e.Object, e.Detail, e.Prev, AuditHash(e))
}

// AuditLog implements console.Tx.
func (t *tx) AuditLog(before int64, most int) (entries []console.AuditEntry, err error) {
	if before == 0 {
		before = math.MaxInt64
	}
	err = t.query(func(rows *sql.Rows) error {
		var e console.AuditEntry
		var at int64
		err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Object, &e.Detail, &e.Prev, &e.Hash)
		e.At = time.UnixMilli(at).UTC()
		entries = append(entries, e)
		return err
	}, "SELECT seq, at, actor, action, object, detail, prev, hash FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, limit(most))
	return entries, err
}

// AuditHash is what an entry's Hash has to be: SHA-256 over its number and time as
// eight bytes each, the highest first, and its other fields, each after its length
// in eight bytes. So no two entries are written alike.
func AuditHash(e console.AuditEntry) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMilli()))
	for _, field := range []string{e.Actor, e.Action, e.Object, e.Detail, string(e.Prev)} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// A BrokenAudit is the first entry of an audit log that is not as it was written.
type BrokenAudit struct {
	Seq int64
	Why string
}

func (b *BrokenAudit) Error() string {
	return fmt.Sprintf("the audit log is broken at entry %d: %s", b.Seq, b.Why)
}

// VerifyAudit reads the whole audit log and returns its newest entry; its error is a
// *BrokenAudit where an entry was changed or left out. That the newest ones were cut
// off shows only to somebody who noted the Hash of one of them.
func VerifyAudit(ctx context.Context, s console.Store) (newest console.AuditEntry, err error) {
	err = s.View(ctx, func(t console.Tx) error {
		var broken error
		var next *console.AuditEntry // the one after e
		for before := int64(0); ; {
			page, err := t.AuditLog(before, 0)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			if next == nil {
				newest = page[0]
			}
			for _, e := range page {
				if next != nil && !bytes.Equal(e.Hash, next.Prev) {
					broken = &BrokenAudit{next.Seq, "the entry before it was changed or left out"}
				}
				if !bytes.Equal(e.Hash, AuditHash(e)) {
					broken = &BrokenAudit{e.Seq, "it is not what its hash was made of"}
				}
				next = &e
			}
			before = next.Seq
		}
		if next != nil && (next.Seq != 1 || len(next.Prev) != 0) {
			broken = &BrokenAudit{next.Seq, "the entries before it were left out"}
		}
		return broken
	})
	return newest, err
}
