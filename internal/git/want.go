package git

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// A packRequest is what a pack is to hold.
type packRequest struct {
	want    Commit
	have    []Commit // what of them is not sent again, and may be what a thin pack builds on
	shallow bool     // of each have there is that one commit here, and nothing before it
	whole   bool     // no object in it is to build on one that is not sent
	depth   int      // how many commits deep; 0: all there is
	filter  string   // what to leave out, like tree:0; errNoFilter where the server cannot
	limit   int64    // bytes the server may send; 0: the options' limits
}

// without forgets what a server cannot take into account: it would take a shallow
// have for a whole history.
func (q packRequest) without(shallow, filter bool) (packRequest, error) {
	if q.filter != "" && !filter {
		return q, errNoFilter
	}
	if !shallow {
		q.depth = 0
		if q.shallow {
			q.have = nil
		}
	}
	return q, nil
}

// lines are the arguments that both versions have.
func (q packRequest) lines() (lines []string) {
	if q.shallow {
		for _, id := range q.have {
			lines = append(lines, "shallow "+string(id))
		}
	}
	if q.depth > 0 {
		lines = append(lines, "deepen "+strconv.Itoa(q.depth))
	}
	if q.filter != "" {
		lines = append(lines, "filter "+q.filter)
	}
	return lines
}

func (q packRequest) haves() (lines []string) {
	for _, id := range q.have {
		lines = append(lines, "have "+string(id))
	}
	return append(lines, "done")
}

// args are those of version 2's fetch; features is what the server's can, nil: not known.
func (q packRequest) args(features []string) ([]string, error) {
	if features != nil {
		var err error
		if q, err = q.without(slices.Contains(features, "shallow"), slices.Contains(features, "filter")); err != nil {
			return nil, err
		}
	}
	args := append([]string{"no-progress", "ofs-delta"}, q.lines()...)
	if !q.whole {
		args = append(args, "thin-pack")
	}
	return append(append(args, "want "+string(q.want)), q.haves()...), nil
}

// fit is the request as a server of the old protocol can take it.
func (q packRequest) fit(adv *packp.AdvRefs) (packRequest, error) {
	return q.without(adv.Capabilities.Supports(capability.Shallow), adv.Capabilities.Supports(capability.Filter))
}

// encode is the request in the old protocol.
func (q packRequest) encode(adv *packp.AdvRefs) ([]byte, error) {
	q, err := q.fit(adv)
	if err != nil {
		return nil, err
	}
	use := []string{"want", wanted(adv, plumbing.NewHash(string(q.want))).String()}
	band := capability.Sideband64k
	if !adv.Capabilities.Supports(band) {
		band = capability.Sideband
	}
	for _, c := range []capability.Capability{band, capability.ThinPack, capability.OFSDelta, capability.NoProgress, capability.Shallow, capability.Filter} {
		if adv.Capabilities.Supports(c) && (c != capability.Filter || q.filter != "") && (c != capability.ThinPack || !q.whole) {
			use = append(use, c.String())
		}
	}
	body := appendPacket(nil, strings.Join(use, " ")+"\n")
	for _, line := range q.lines() {
		body = appendPacket(body, line+"\n")
	}
	body = append(body, "0000"...)
	for _, line := range q.haves() {
		body = appendPacket(body, line+"\n")
	}
	return body, nil
}

// answer reads the old protocol's answer up to where the pack begins.
func (q packRequest) answer(p *packets, adv *packp.AdvRefs) (io.Reader, error) {
	q, err := q.fit(adv)
	if err != nil {
		return nil, err
	}
	for cutOff := q.depth > 0; ; {
		kind, line, err := p.line()
		switch {
		case err != nil:
			return nil, cut(err)
		case kind == flushPacket && cutOff:
			cutOff = false
		case kind != dataPacket:
			return nil, errGarbled
		case cutOff:
		case line == "NAK" || strings.HasPrefix(line, "ACK "):
			if adv.Capabilities.Supports(capability.Sideband64k) || adv.Capabilities.Supports(capability.Sideband) {
				return &band{packets: p}, nil
			}
			return p.from, nil
		default:
			return nil, errGarbled
		}
	}
}

// wanted is what to ask for to get a commit: a server need not give out a commit
// that only a tag names, but does give out the tag.
func wanted(adv *packp.AdvRefs, id plumbing.Hash) plumbing.Hash {
	tag := id
	for name, at := range adv.References {
		if at == id {
			return id
		}
		if adv.Peeled[name] == id {
			tag = at
		}
	}
	return tag
}

// advertises reads what a server of the old protocol has.
func advertises(from io.Reader) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	if err := adv.Decode(from); errors.Is(err, packp.ErrEmptyAdvRefs) {
		return nil, transport.ErrEmptyRemoteRepository
	} else if garbled := new(packp.ErrUnexpectedData); errors.As(err, &garbled) || errors.Is(err, pktline.ErrInvalidPktLen) {
		return nil, errGarbled // they repeat what the server sent
	} else if err != nil {
		return nil, err
	}
	if adv.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	return adv, nil
}
