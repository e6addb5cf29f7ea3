package console

import (
	"context"
	"strings"
)

// AuditLog is what was done, newest first, before the given entry (0: from the newest),
// at most limit entries (at most 1000; 0: 1000). Owners and viewers see all of it;
// event, an id or a name, narrows it to what was done with one and with what belongs to it,
// which its owner sees as well.
func (c *Console) AuditLog(ctx context.Context, a Actor, event string, before int64, limit int) (entries []AuditEntry, err error) {
	if limit <= 0 || limit > mostListed {
		limit = mostListed
	}
	err = c.store.View(ctx, func(tx Tx) error {
		if event == "" {
			if err := authorise(a, Review, target{}); err != nil {
				return err
			}
			entries, err = tx.AuditLog(before, limit)
			return err
		}
		e, err := c.event(tx, a, Review, event)
		if err != nil {
			return err
		}
		entries, err = auditOf(tx, e, before, limit)
		return err
	})
	return entries, err
}

// auditOf looks for what is about an event, back to when it was made.
func auditOf(tx Tx, e Event, before int64, limit int) (found []AuditEntry, err error) {
	about, err := objectsOf(tx, e)
	for err == nil {
		var page []AuditEntry
		page, err = tx.AuditLog(before, mostListed)
		for _, entry := range page {
			if before = entry.Seq; entry.At.Before(e.Created.Truncate(1e6)) { // the log is to the millisecond
				return found, nil
			}
			if kind, id, _ := strings.Cut(entry.Object, "/"); about[[2]string{kind, id}] {
				found = append(found, entry)
			}
			if len(found) == limit {
				return found, nil
			}
		}
		if len(page) < mostListed {
			return found, err
		}
	}
	return found, err
}

// objectsOf are an event and what belongs to it, each as its kind and its id.
func objectsOf(tx Tx, e Event) (map[[2]string]bool, error) {
	about := map[[2]string]bool{{string(KindEvent), e.ID}: true}
	add := func(q Query) (ids []string, err error) {
		err = eachRecord(tx, q, func(r Record) error {
			about[[2]string{string(r.Kind), r.ID}] = true
			ids = append(ids, r.ID)
			return nil
		})
		return ids, err
	}
	if _, err := add(Query{Kind: KindOperation, Parent: e.ID}); err != nil {
		return nil, err
	}
	deployments, err := add(Query{Kind: KindDeployment, Parent: e.ID})
	for _, d := range deployments {
		if err == nil {
			_, err = add(Query{Kind: KindInstance, Parent: d})
		}
	}
	return about, err
}
