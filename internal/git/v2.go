package git

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

var (
	errNoAnswer = errors.New("the server does not answer as git does")
	// errNoFilter is that a server cannot leave out what a request's filter names.
	errNoFilter = errors.New("the server cannot send commits without their files")
)

// A refusal is an answer that servers which only speak an older version also give.
type refusal struct{ error }

func (e refusal) Unwrap() error { return e.error }

// talk asks by version 2 without asking first whether the server speaks it, and
// finds out only where that is refused.
func (s *httpSession) talk(ctx context.Context, v2 func() error, v0 func(*packp.AdvRefs) error) (err error) {
	defer func() { s.remember(err) }()
	if !s.route.old {
		if err := v2(); err == nil || !refused(err) {
			return err
		}
	}
	adv, err := s.discover(ctx)
	switch {
	case err != nil:
		return err
	case adv != nil:
		return v0(adv)
	}
	return v2()
}

func refused(err error) bool {
	var status *statusError
	var known *Error
	switch {
	case errors.As(err, &status):
		return !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status.code)
	case errors.As(err, &known):
		return known.Class == NotRepository
	}
	return errors.As(err, new(refusal))
}

// asRefusal is for errors of an answer's first packet.
func asRefusal(err error) error {
	var words *saidError
	switch {
	case err == io.EOF:
		return refusal{errNoAnswer}
	case errors.Is(err, errGarbled), errors.As(err, &words):
		return refusal{err}
	}
	return err
}

// discover asks what the server speaks. It returns what one that only speaks the
// old protocol advertises, and nil for one that speaks version 2.
func (s *httpSession) discover(ctx context.Context) (*packp.AdvRefs, error) {
	res, err := s.ask(ctx, advertisement, nil)
	if err != nil {
		return nil, err
	}
	defer res.drain()
	if res.kind != "application/x-git-upload-pack-advertisement" {
		return nil, &Error{Class: NotRepository, Why: "what is there is no git repository (it answers with " + strconv.Quote(res.kind) + ")",
			Hint: "check the address; it is the one that git clone takes"}
	}
	p := newPackets(res)
	start, _ := p.from.Peek(64) // an end or an error is met again below
	old := !strings.Contains(string(start), "000eversion 2\n")
	if old != s.route.old {
		s.route.old, s.route.until = old, time.Time{}
	}
	if !old {
		s.route.features, err = capabilities(p)
		s.route.until = time.Time{}
		return nil, err
	}
	adv, err := advertises(p.from)
	if err != nil && res.err != nil {
		err = res.err
	}
	return adv, err
}

// capabilities reads what a server of version 2 can do, and returns what its fetch
// can.
func capabilities(p *packets) ([]string, error) {
	features := []string{}
	for begun := false; ; {
		kind, line, err := p.line()
		switch {
		case err != nil:
			return nil, cut(err)
		case kind != dataPacket && begun:
			return features, nil
		case line == "version 2":
			begun = true
		}
		if text, ok := strings.CutPrefix(line, "fetch="); ok {
			features = append(features, strings.Fields(text)...)
		}
		if text, ok := strings.CutPrefix(line, "object-format="); ok && text != "sha1" {
			return nil, &Error{Class: Other, Why: "the repository names its commits by " + strconv.Quote(text) + ", which is not read yet",
				Hint: "use a repository made with --object-format=sha1"}
		}
	}
}

// command is a request of version 2.
func command(name string, args ...string) []byte {
	body := appendPacket(nil, "command="+name+"\n")
	body = appendPacket(body, "agent=popup\n")
	body = append(body, "0001"...)
	for _, arg := range args {
		body = appendPacket(body, arg+"\n")
	}
	return append(body, "0000"...)
}

// post sends a request to git-upload-pack.
func (s *httpSession) post(ctx context.Context, body []byte) (*answer, error) {
	res, err := s.ask(ctx, uploadPack, body)
	if err != nil {
		return nil, err
	}
	if res.kind != "application/x-git-upload-pack-result" {
		res.drain()
		return nil, refusal{errNoAnswer}
	}
	return res, nil
}

// list asks for the references whose names begin so.
func (s *httpSession) list(ctx context.Context, prefixes []string) (refs references, err error) {
	v2 := func() error {
		args := []string{"peel"}
		for _, prefix := range prefixes {
			args = append(args, "ref-prefix "+prefix)
		}
		res, err := s.post(ctx, command("ls-refs", args...))
		if err != nil {
			return err
		}
		defer res.Close() //nolint:errcheck // what counts was read
		if refs, err = listed(newPackets(res)); err == nil {
			res.drain()
		}
		return err
	}
	v0 := func(adv *packp.AdvRefs) error {
		refs = advertised(adv)
		return nil
	}
	return refs, s.talk(ctx, v2, v0)
}

// listed reads the answer to ls-refs.
func listed(p *packets) (references, error) {
	refs := references{ids: map[string]plumbing.Hash{}, peeled: map[string]plumbing.Hash{}}
	for first := true; ; first = false {
		kind, line, err := p.line()
		switch {
		case err != nil && first:
			return references{}, asRefusal(err)
		case err != nil:
			return references{}, cut(err)
		case kind == flushPacket:
			return refs, nil
		case kind != dataPacket || !refs.add(line):
			return references{}, asRefusal(errGarbled)
		}
	}
}

// add reads one line: an id, a name, and attributes.
func (r *references) add(line string) bool {
	id, rest, ok := strings.Cut(line, " ")
	if !ok || id != "unborn" && !isCommit(id) {
		return false
	}
	name, attributes, _ := strings.Cut(rest, " ")
	switch {
	case id == "unborn":
		return true
	case name == "HEAD":
		r.head = plumbing.NewHash(id)
		return true
	}
	r.ids[name] = plumbing.NewHash(id)
	for attribute := range strings.FieldsSeq(attributes) {
		if peeled, ok := strings.CutPrefix(attribute, "peeled:"); ok {
			if !isCommit(peeled) {
				return false
			}
			r.peeled[name] = plumbing.NewHash(peeled)
		}
	}
	return name != ""
}

// pack asks for a pack. The caller closes it.
func (s *httpSession) pack(ctx context.Context, req packRequest) (pack io.ReadCloser, err error) {
	ask := func(body []byte, read func(*packets) (io.Reader, error)) error {
		res, err := s.post(ctx, body)
		if err != nil {
			return err
		}
		content, err := read(newPackets(res))
		if err != nil {
			return errors.Join(err, res.Close())
		}
		pack = &httpPack{content, res, false}
		return nil
	}
	v2 := func() error {
		args, err := req.args(s.route.features)
		if err != nil {
			return err
		}
		return ask(command("fetch", args...), toPack)
	}
	v0 := func(adv *packp.AdvRefs) error {
		body, err := req.encode(adv)
		if err != nil {
			return err
		}
		return ask(body, func(p *packets) (io.Reader, error) { return req.answer(p, adv) })
	}
	return pack, s.talk(ctx, v2, v0)
}

// An httpPack is a pack that is being received.
type httpPack struct {
	io.Reader
	res   *answer
	ended bool
}

func (p *httpPack) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.ended = err == io.EOF
	return n, err
}

func (p *httpPack) Close() error {
	if p.ended {
		p.res.drain()
		return nil
	}
	return p.res.Close()
}

// toPack reads up to where the pack begins.
func toPack(p *packets) (io.Reader, error) {
	for first := true; ; first = false {
		kind, line, err := p.line()
		switch {
		case err != nil && first:
			return nil, asRefusal(err)
		case err != nil:
			return nil, cut(err)
		case kind == dataPacket && line == "packfile":
			return &band{packets: p}, nil
		case kind != dataPacket && kind != delimPacket:
			return nil, errGarbled
		}
	}
}
