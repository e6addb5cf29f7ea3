package pack

import (
	"container/list"

	"popup/internal/tree"
)

// recent remembers the objects that were used last, for those made from them.
type recent struct {
	left  int
	order *list.List // of *remembered, the last used first
	byID  map[tree.ID]*list.Element
}

type remembered struct {
	id      tree.ID
	kind    Kind
	content []byte
}

func newRecent(size int) *recent {
	return &recent{left: size, order: list.New(), byID: map[tree.ID]*list.Element{}}
}

func (c *recent) add(id tree.ID, kind Kind, content []byte) {
	if c.byID[id] != nil || len(content) > InMemory {
		return
	}
	c.byID[id] = c.order.PushFront(&remembered{id, kind, content})
	for c.left -= cost(content); c.left < 0; {
		last := c.order.Remove(c.order.Back()).(*remembered)
		c.left += cost(last.content)
		delete(c.byID, last.id)
	}
}

// cost counts in what it takes to remember even nothing.
func cost(content []byte) int { return len(content) + 128 }

func (c *recent) get(id tree.ID) (*remembered, bool) {
	e := c.byID[id]
	if e == nil {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*remembered), true
}
