package pack

import (
	"errors"
	"io"
	"os"
	"slices"

	"popup/internal/tree"
)

// waiting are the deltas whose base has not come yet, each under the base's number
// or, where it is not known, its id.
type waiting struct {
	count  int
	byID   map[tree.ID][]delayed
	byTurn map[int][]delayed
}

// A delayed delta lies in the spool.
type delayed struct {
	at           int // its number among the objects
	offset, size int64
}

// A spool is the file of the deltas that wait.
type spool struct {
	file *os.File
	end  int64
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// wait puts a delta aside until its base has come: that of the number turn or, where
// that is below 0, of the id.
func (r *reader) wait(at int, size int64, id tree.ID, turn int) error {
	body, err := r.inflateDelta(size)
	if err != nil {
		return err
	}
	if r.spool.file == nil {
		if r.spool.file, _, err = r.sink.Temp(); err != nil {
			return err
		}
		r.waiting.byID, r.waiting.byTurn = map[tree.ID][]delayed{}, map[int][]delayed{}
	}
	d := delayed{at, r.spool.end, size}
	if _, err := io.Copy(io.NewOffsetWriter(r.spool.file, d.offset), body); err != nil {
		return err
	}
	r.spool.end += size
	r.waiting.count++
	if turn >= 0 {
		r.waiting.byTurn[turn] = append(r.waiting.byTurn[turn], d)
	} else {
		r.waiting.byID[id] = append(r.waiting.byID[id], d)
	}
	return nil
}

// settle makes what waited for an object, and what waited for that, and so on.
func (r *reader) settle(at int) error {
	ready := []int{at}
	for len(ready) > 0 {
		at := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		id := r.objects[at].id
		for _, d := range slices.Concat(r.waiting.byTurn[at], r.waiting.byID[id]) {
			base, err := r.base(id)
			if err != nil {
				return err
			}
			err = r.apply(base, io.NewSectionReader(r.spool.file, d.offset, d.size))
			if err = errors.Join(err, base.close()); err != nil {
				return err
			}
			if err := r.give(d.at); err != nil {
				return err
			}
			r.waiting.count--
			ready = append(ready, d.at)
		}
		delete(r.waiting.byTurn, at)
		delete(r.waiting.byID, id)
	}
	return nil
}
