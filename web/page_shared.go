package web

import (
	"sync"
	"time"
)

// sharedParts are the live parts of pages that are the same for all who see them: when a
// thousand browsers ask for one after a change, it is made once. Who may see it is for the
// caller to say, before.
type sharedParts struct {
	mu   sync.Mutex
	made map[string]*sharedPart
}

// A sharedPart is what was made of one, or is being made.
type sharedPart struct {
	seq  int64 // the store's change that it knows of
	at   time.Time
	html func() ([]byte, error)
}

// sharedFor is how long a part is shown while nothing is written: what it says of
// reports and of the time may be so old.
const sharedFor = time.Second

// get returns the part of a key as of a change, and makes it where it is not there.
func (p *sharedParts) get(key string, seq int64, make func() ([]byte, error)) ([]byte, error) {
	html, err := p.part(key, seq, make).html()
	if err != nil { // it may be that of another request, which was given up
		return make()
	}
	return html, nil
}

func (p *sharedParts) part(key string, seq int64, make func() ([]byte, error)) *sharedPart {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if part := p.made[key]; part != nil && part.seq >= seq && now.Sub(part.at) < sharedFor {
		return part
	}
	for key, part := range p.made {
		if now.Sub(part.at) >= sharedFor {
			delete(p.made, key)
		}
	}
	if p.made == nil {
		p.made = map[string]*sharedPart{}
	}
	part := &sharedPart{seq, now, sync.OnceValues(make)}
	p.made[key] = part
	return part
}
