package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"popup/console"
	"popup/console/catalogue"
	"popup/internal/archive"
	"popup/internal/wire"
	"popup/store/sqlite"
	"popup/web"
)

// TestClient asks a real console, on a real store, as a person does.
func TestClient(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/client",
		Setup: func(env *testscript.Env) error {
			s, err := openSite(env)
			if err != nil {
				return err
			}
			env.Values["site"] = s
			for name, value := range map[string]string{"CONSOLE": s.url, "SECURE": s.secure.URL, "PIN": wire.PinOf(s.secure.Certificate()),
				"TOKEN": s.token, "XDG_CONFIG_HOME": filepath.Join(env.WorkDir, "config")} {
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "later": later, "sameasapi": sameAsAPI, "eventually": eventually},
	})
}

const ownerPassword = "correct horse battery"

// A site is a console that olga owns, whose instances are pretended.
type site struct {
	url, token string
	secure     *httptest.Server // answers the same by https, with a certificate that nobody vouches for
	ahead      atomic.Int64     // of the clock, in nanoseconds
}

func openSite(env *testscript.Env) (s *site, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	env.Defer(cancel)
	store, err := sqlite.Open(ctx, filepath.Join(env.WorkDir, ".site/store"))
	if err != nil {
		return nil, err
	}
	keys, keysErr := console.OpenKeys(filepath.Join(env.WorkDir, ".site/keys"))
	vault, vaultErr := archive.FolderVault(filepath.Join(env.WorkDir, ".site/vault"))
	offered, offeredErr := catalogue.Open(ctx, catalogue.Options{Dir: filepath.Join(env.WorkDir, ".site/catalogue")})
	listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(keysErr, vaultErr, offeredErr, listenErr); err != nil {
		return nil, err
	}
	s = &site{url: "http://" + listener.Addr().String()}
	cloud, paid := newPretence(ctx, env.T().(testing.TB)), &paidPretence{newPretence(ctx, env.T().(testing.TB))}
	oven := &oven{pretence: newPretence(ctx, env.T().(testing.TB)), gone: map[string]bool{}}
	opts := console.Options{Store: store, Keys: keys, Catalogue: offered, Clouds: map[string]console.Cloud{"local": cloud, "paid": paid, "oven": oven}, Cloud: "local", Reach: map[string]console.Reach{"local": {SameMachine: true}, "paid": {SameMachine: true}, "oven": {SameMachine: true}}, URL: s.url, Version: "test",
		Archives: console.NewArchives(console.ArchivesOptions{Vault: vault}), Now: s.now}
	opts.Binary.URLs = []string{s.url + "/download/" + strings.Repeat("e", 64)}
	opts.Binary.SHA256 = map[string]string{"amd64": strings.Repeat("e", 64)}
	c, err := console.New(ctx, opts)
	if err != nil {
		return nil, err
	}
	server, err := web.New(web.Options{Console: c, Catalogue: offered, URL: s.url, Version: "test", Clouds: []string{"local", "paid", "oven"}, Cloud: "local"})
	if err != nil {
		return nil, err
	}
	plain := &httptest.Server{Listener: listener, Config: &http.Server{Handler: server.Handler()}}
	plain.Start()
	s.secure = httptest.NewUnstartedServer(server.Handler())
	s.secure.Config.ErrorLog = log.New(io.Discard, "", 0) // that a client goes away is what is tested
	s.secure.StartTLS()
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	env.Defer(func() {
		cancel()
		cloud.talking.Wait()
		paid.talking.Wait()
		oven.talking.Wait()
		plain.Close()
		s.secure.Close()
		running.Wait()
		_ = errors.Join(offered.Close(), store.Close())
	})
	return s, s.claim(ctx, c)
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// claim has olga own the console, and makes her a token.
func (s *site) claim(ctx context.Context, c *console.Console) error {
	link, err := c.ClaimLink(ctx)
	if err != nil {
		return err
	}
	session, err := c.Claim(ctx, link[strings.LastIndexByte(link, '/')+1:], console.NewPerson{Name: "olga", Password: ownerPassword})
	if err != nil {
		return err
	}
	olga, err := c.ActorOfSession(ctx, session.Secret)
	if err != nil {
		return err
	}
	_, s.token, err = c.AddToken(ctx, olga, console.NewToken{Title: "script", Days: 1})
	return err
}

// later has the console's clock go on: later 48h.
func later(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Value("site").(*site).ahead.Add(int64(d))
}

// eventually runs a command until its output matches: eventually PATTERN COMMAND ARG...
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	wanted := regexp.MustCompile(args[0])
	deadline, tick := time.After(20*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%v never shows %s", args[1:], wanted)
		}
	}
}

// sameAsAPI holds the JSON that was printed against what the API answers, by its shape:
// sameasapi PATH.
func sameAsAPI(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("site").(*site)
	req, err := http.NewRequest(http.MethodGet, s.url+"/api/v1"+args[0], nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	var printed, answered any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed))
	ts.Check(json.Unmarshal(text, &answered))
	if diff := cmp.Diff(shape("", answered), shape("", printed)); diff != "" || len(shape("", answered)) < 2 {
		ts.Fatalf("the API has (-) and the verb printed (+) of %s:\n%s", args[0], diff)
	}
}

// shape is all names in JSON, with what stands there; values that change are left out.
func shape(at string, v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, below := range v {
			all = append(all, shape(at+"."+name, below)...)
		}
	case []any:
		all = append(all, at+"[]")
		for _, below := range v {
			all = append(all, shape(at+"[]", below)...)
		}
	default:
		all = append(all, fmt.Sprintf("%s %T", at, v))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
