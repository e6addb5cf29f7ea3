package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/wire"
	"popup/userdata"
)

// A pretence is a cloud whose machines do nothing but talk to their console, with real
// keys, as what their user-data says they are.
type pretence struct {
	t        testing.TB
	ctx      context.Context
	talking  sync.WaitGroup
	mu       sync.Mutex
	machines map[string]console.Machine
	stop     map[string]context.CancelFunc
}

func newPretence(ctx context.Context, t testing.TB) *pretence {
	return &pretence{t: t, ctx: ctx, machines: map[string]console.Machine{}, stop: map[string]context.CancelFunc{}}
}

func (p *pretence) Check(context.Context, console.Launch) error { return nil }

func (p *pretence) Launch(_ context.Context, l console.Launch) (console.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, there := p.machines[l.Instance]; there {
		return m, nil
	}
	plan, err := userdata.Read(l.UserData)
	if err != nil {
		return console.Machine{}, err
	}
	m := console.Machine{Instance: l.Instance, ID: "m-" + l.Instance, State: console.MachineRunning, Address: "http://" + l.Instance + ".example"}
	p.machines[l.Instance] = m
	ctx, stop := context.WithCancel(p.ctx)
	p.stop[l.Instance] = stop
	d := &pretended{id: l.Instance, plan: plan, slow: l.Event == "slow"}
	p.talking.Go(func() {
		if err := d.talk(ctx); err != nil && ctx.Err() == nil {
			p.t.Errorf("%s: %v", d.id, err)
		}
	})
	return m, nil
}

func (p *pretence) Machines(context.Context) (all []console.Machine, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.machines {
		all = append(all, m)
	}
	return all, nil
}

func (p *pretence) Terminate(_ context.Context, instance string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stop := p.stop[instance]; stop != nil {
		stop()
	}
	delete(p.machines, instance)
	return nil
}

// A paidPretence is a pretence whose machines cost money: 0.10 USD an hour.
type paidPretence struct{ *pretence }

func (*paidPretence) Price(_ context.Context, l console.Launch) (console.Price, error) {
	if l.App == "guestbook" {
		return console.Price{}, errors.New("there is no price of such a machine")
	}
	return console.Price{Currency: "USD", AsOf: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Lines: []console.PriceLine{{What: "a small machine", Hour: 100_000}}}, nil
}

// A pretended instance is live at once, unless it is slow: then it never is.
type pretended struct {
	id   string
	plan wire.Plan
	slow bool
	key  ed25519.PrivateKey
	seq  uint64
	done []wire.Result
}

// talk enrols and reports until it is over.
func (d *pretended) talk(ctx context.Context) (err error) {
	if _, d.key, err = ed25519.GenerateKey(nil); err != nil {
		return err
	}
	enrolment := wire.Enrolment{Version: wire.TalkVersion, Instance: d.id, Token: d.plan.Console.Token, Key: d.key.Public().(ed25519.PublicKey), Popup: "test", Arch: "amd64"}
	if err := d.tell(ctx, wire.PathEnrol, enrolment, nil); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var answer wire.Answer
		if err := d.tell(ctx, wire.PathReport, d.report(), &answer); err != nil {
			return err
		}
		for _, command := range answer.Commands {
			if err := d.obey(ctx, command); err != nil {
				return err
			}
		}
		if answer.Wanted != nil && answer.Wanted.Ended {
			return d.end(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *pretended) report() wire.Report {
	d.seq++
	r := wire.Report{Version: wire.TalkVersion, Seq: d.seq, Time: time.Now(), Since: time.Now(), Popup: "test", App: string(d.plan.Manifest.ID), URL: "http://127.0.0.1:1",
		Live: !d.slow, Healthy: !d.slow, Phases: []wire.Phase{{Name: "start", State: "done", Since: time.Now()}}, Results: d.done}
	if !d.slow {
		r.Serving = &wire.Serving{Release: strings.Repeat("a", 40)}
	}
	return r
}

// obey sends a log that would move the cursor of a terminal.
func (d *pretended) obey(ctx context.Context, command wire.Command) error {
	result := wire.Result{ID: command.ID, Verb: command.Verb, OK: !d.slow, At: time.Now()}
	if d.slow {
		result.Text = "there is no log yet"
	} else if command.Verb == wire.VerbLogs {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		fmt.Fprintf(z, "a line of %s\x1b[2J\n", d.id)
		if err := z.Close(); err != nil {
			return err
		}
		if err := d.send(ctx, signedBody{method: http.MethodPost, path: wire.PathLogs + command.ID, body: packed.Bytes(), encoding: "gzip"}, nil); err != nil {
			return err
		}
	}
	d.done = append(d.done, result)
	return nil
}

// end sends the final backup, where there is something to keep, and then says so.
func (d *pretended) end(ctx context.Context) error {
	if d.plan.Manifest.State != nil {
		var b bytes.Buffer
		w, err := archive.NewWriter(&b, archive.Manifest{App: string(d.plan.Manifest.ID), Instance: d.id, Taken: time.Now(), Final: true})
		if err == nil {
			err = w.Add(archive.Entry{Path: "book", Kind: archive.KindFile, Mode: 0o600, Modified: time.Now(), Size: 5}, strings.NewReader("lines"))
		}
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
		if err := d.send(ctx, signedBody{method: http.MethodPut, path: wire.PathVault + "final.tar.zst", body: b.Bytes()}, nil); err != nil {
			return err
		}
	}
	over := d.report()
	over.End = &wire.Ending{Step: "over"}
	return d.tell(ctx, wire.PathReport, over, nil)
}

// A signedBody is a request of an instance.
type signedBody struct {
	method, path string
	body         []byte
	encoding     string
}

func (d *pretended) tell(ctx context.Context, path string, what, answer any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return d.send(ctx, signedBody{method: http.MethodPost, path: path, body: body}, answer)
}

func (d *pretended) send(ctx context.Context, b signedBody, answer any) error {
	req, err := http.NewRequestWithContext(ctx, b.method, d.plan.Console.At(b.path), bytes.NewReader(b.body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b.body)
	for name, value := range map[string]string{"Content-Type": "application/json", "Content-Encoding": b.encoding, wire.HeaderInstance: d.id, wire.HeaderDigest: wire.Digest(sum[:]),
		wire.HeaderSignature: wire.Signed{Method: b.method, Path: b.path, Instance: d.id, Body: b.body}.Sign(d.key)} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return errors.Join(err, fmt.Errorf("%s %s: %s: %s", b.method, b.path, resp.Status, text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
