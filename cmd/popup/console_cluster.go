package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"popup/console"
	"popup/console/peers"
	"popup/internal/atomicfile"
	"popup/store/dqlite"
	"popup/store/sqlite"
)

// joinEnv stands for --join.
const joinEnv = "POPUP_JOIN"

// clusterFlags say how a console keeps its store together with others.
type clusterFlags struct {
	address string
	join    *string // nil: it was not given, which is not the same as empty
	url     string  // at which it is to be reached
}

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.address, "cluster-address", "", "`HOST:PORT` at which other consoles reach this one, to keep the store together; once it is known it need not be said again (default: it keeps it alone)")
	flags.Func("join", "`TOKEN` of popup console cluster-token, or a file that holds it, or - for standard input: join the consoles that made it (default $"+joinEnv+")",
		func(text string) error { c.join = &text; return nil })
}

// joins is what was given to join with, and by which name.
func (c clusterFlags) joins() (what, by string, given bool) {
	if c.join != nil {
		return *c.join, "--join", true
	}
	what, given = os.LookupEnv(joinEnv)
	return what, "$" + joinEnv, given
}

// oneMachine are the clouds whose machines are on the machine of one console.
var oneMachine = []string{"local", "vm", "container"}

// check says what the flags lack to keep a store with others.
func (c clusterFlags) check(at consoleFolder, clouds, domains []string) error {
	if !at.isClustered() && c.address == "" {
		if _, by, given := c.joins(); given {
			return fmt.Errorf("%s: say with --cluster-address HOST:PORT at which address the others reach this console, or leave it out to start one alone", by)
		}
		return nil
	}
	if len(domains) > 0 {
		return errors.New("--domain: where consoles keep a store together the authority may ask another one for what this one asked a certificate with: give the same --cert and --key to each")
	}
	for _, name := range clouds {
		if slices.Contains(oneMachine, name) {
			return fmt.Errorf("--cloud %s keeps its machines on the machine of one console, and is lost with it: where consoles keep a store together, choose another one, like --cloud ec2", name)
		}
	}
	return nil
}

func (f consoleFolder) cluster() string { return filepath.Join(f.dir, "cluster") }

// isClustered says whether the folder's store is one of a cluster.
func (f consoleFolder) isClustered() bool {
	_, err := os.Stat(f.cluster())
	return err == nil
}

// enterCluster sees to it that the folder is one of a cluster's where that is asked for, and
// says at which address; empty: it keeps its store alone.
func (f consoleFolder) enterCluster(ctx context.Context, c clusterFlags, log *slog.Logger) (address string, err error) {
	if f.isClustered() {
		known, err := dqlite.AddressOf(f.cluster())
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", err
		case err == nil && c.address != "" && c.address != known:
			return "", usageError{fmt.Errorf("--cluster-address %s: the other consoles know this one as %s; to change it, let it leave (popup console cluster leave), and join again at the new address", c.address, known)}
		case known == "" && c.address == "":
			return "", usageError{fmt.Errorf("%s was begun and not finished: give --cluster-address again", f.cluster())}
		}
		c.address = cmp.Or(known, c.address)
	} else if c.address == "" {
		return "", f.hasNotLeft()
	}
	token, err := c.token(f.isClustered())
	if err != nil || token == "" {
		return c.address, errors.Join(err, f.mayBeFirst(token))
	}
	if _, err := os.Stat(f.store()); err == nil && !f.isClustered() {
		return "", usageError{fmt.Errorf("--join: there is a store in %s already, which would be left behind: give another --data-dir, or move that folder away", f.store())}
	}
	err = dqlite.Join(ctx, dqlite.Options{Dir: f.cluster(), Address: c.address, Log: log}, dqlite.Joining{Token: token, URL: c.url, Version: version, Take: f.take})
	return c.address, withoutEngine(err)
}

// mayBeFirst says whether the folder may begin a cluster, where it joins none.
func (f consoleFolder) mayBeFirst(token string) error {
	if token != "" || f.isClustered() {
		return nil
	}
	return f.hasNotLeft()
}

// hasNotLeft keeps a console that left its cluster from beginning with nothing.
func (f consoleFolder) hasNotLeft() error {
	left, err := filepath.Glob(f.cluster() + ".left-*")
	if err != nil || len(left) == 0 {
		return err
	}
	if _, err := os.Stat(f.store()); err == nil {
		return nil
	}
	return usageError{fmt.Errorf("the console in %s left its cluster, and keeps nothing any more: let it join with --join, or give another --data-dir, or move %s away to begin anew", f.dir, strings.Join(left, " and "))}
}

// token is the line to join with; empty: none was given. One that was used is not needed
// again. What was given and is empty begins no cluster: somebody meant to join one.
func (c clusterFlags) token(joined bool) (string, error) {
	given, by, is := c.joins()
	if !is || joined && (given == "" || given == "-") {
		return "", nil
	}
	text, err := readToken(given)
	if errors.Is(err, fs.ErrNotExist) && joined {
		return "", nil
	}
	if err != nil {
		return "", usageError{fmt.Errorf("%s: it is neither a token nor a file that can be read: %w", by, err)}
	}
	if text == "" && !joined {
		if given != "" {
			by += " " + given
		}
		return "", usageError{fmt.Errorf("%s: there is no token in it: popup console cluster-token, run beside a console of the cluster, prints one", by)}
	}
	return text, nil
}

// readToken is a token that is given as it is, in a file, or on standard input.
func readToken(given string) (string, error) {
	switch {
	case given == "" || dqlite.IsToken(given):
		return given, nil
	case given == "-":
		text, err := prompt{os.Stdin, os.Stderr}.line(context.Background(), "")
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		return text, err
	}
	text, err := os.ReadFile(given)
	return strings.TrimSpace(string(text)), err
}

// handed are the files that each console of a cluster has alike, below its folder.
func (f consoleFolder) handed() map[string]string {
	return map[string]string{"secrets.key": f.secrets(), "own.key": filepath.Join(f.tls(), "own.key")}
}

// give reads what a console that joins is handed.
func (f consoleFolder) give() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, path := range f.handed() {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no certificate of its own
		}
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	return files, nil
}

// take keeps what this console is handed. What is there already must be the same.
func (f consoleFolder) take(files map[string][]byte) error {
	for name, path := range f.handed() {
		text, given := files[name]
		if !given {
			continue
		}
		is, err := os.ReadFile(path)
		if err == nil && string(is) != string(text) {
			return fmt.Errorf("%s is of another console: give another --data-dir, or move that file away", path)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := atomicfile.Write(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// openStore opens the store that this console keeps alone, or at an address with others;
// then it takes in what it kept alone until then.
func (f consoleFolder) openStore(ctx context.Context, address string, log *slog.Logger) (console.Store, *dqlite.Cluster, error) {
	if address == "" {
		store, err := sqlite.Open(ctx, f.store())
		if err != nil {
			return nil, nil, err
		}
		return store, nil, nil
	}
	others, err := dqlite.Grow(ctx, dqlite.Options{Dir: f.cluster(), Address: address, Log: log}, f.store())
	if err != nil {
		return nil, nil, withoutEngine(err)
	}
	return others, others, nil
}

// withoutEngine says of which flag an error is that tells of a build without dqlite.
func withoutEngine(err error) error {
	if errors.Is(err, dqlite.ErrMissing) {
		return usageError{fmt.Errorf("--cluster-address: %w", err)}
	}
	return err
}

// admit has this console answer the others, and let more of them join.
func (f consoleFolder) admit(ctx context.Context, kept consoleKept, c *console.Console, url string, binaries map[string]string, log *slog.Logger) error {
	if kept.others == nil {
		return nil
	}
	kept.others.Serve(peers.Served{Archives: kept.archives, Binaries: binaries, Logs: c.SentLog, Log: log}.Handler())
	return kept.others.Admit(ctx, dqlite.Host{URL: url, Version: version, Files: f.give})
}

// elsewhere opens downloads that other consoles have; nil: there are none.
func (k consoleKept) elsewhere() func(ctx context.Context, sum, part string) (*http.Response, error) {
	if k.peers == nil {
		return nil
	}
	return k.peers.Download
}

// untilLeft ends the console once it has left its cluster.
func (k consoleKept) untilLeft(ctx context.Context) error {
	select {
	case <-k.others.Left():
	case <-ctx.Done():
	}
	return nil
}
