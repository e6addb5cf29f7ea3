package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"popup/console"
	"popup/console/catalogue"
	"popup/internal/guard"
	"popup/userdata"
	"popup/web"
	"popup/web/oidc"
)

// consoleFlags are what popup console is told.
type consoleFlags struct {
	dataDir      string
	listen       web.ListenOptions
	catalogue    string
	clouds       cloudFlags
	state        bucketFlags
	allowPrivate bool
	keepImages   time.Duration
	oidc         oidc.Config
	cluster      clusterFlags
	verbose      bool
}

func newConsoleCommand() *cobra.Command {
	var f consoleFlags
	cmd := &cobra.Command{
		Use:   "console",
		Short: "be a console: a catalogue, events, and what is running, for people with a browser",
		Long: `console serves the web pages and the API with which people launch apps for an event, see
what is running, and end it. All it knows is kept below --data-dir. It prints
"listening on URL" on standard output, and, as long as nobody owns it, "claim: URL": the
link that makes whoever opens it the owner.

On this machine alone it is answered by http. On any other address it is https: --domain
fetches certificates from Let's Encrypt, --cert and --key bring them, and else it makes one
of its own, whose pin its instances are told.

Instances are processes of this machine, or with --cloud virtual machines or containers on it,
or machines of EC2 and what speaks its API. They go on while the console is stopped. Told to
stop (Ctrl-C, or TERM) it answers what is asked right now, for at most 10 s.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.serve(cmd.Context(), cmd.OutOrStdout(), newLogger(cmd.ErrOrStderr(), f.verbose))
		},
	}
	cmd.PersistentFlags().StringVar(&f.dataDir, "data-dir", "", "folder that everything is kept below (default /var/lib/popup-console for root, else one in your home)")
	flags := cmd.Flags()
	flags.StringVar(&f.listen.Addr, "listen", "127.0.0.1:8080", "HOST:PORT to answer on; port 0 takes a free one")
	flags.StringVar(&f.listen.URL, "url", "", "at which browsers and instances reach it (default what --listen or --domain says)")
	flags.StringArrayVar(&f.listen.Domains, "domain", nil, "name to fetch certificates for; may be given again")
	flags.StringVar(&f.listen.Email, "email", "", "told to the authority that certifies --domain (default none)")
	flags.StringVar(&f.listen.CertFile, "cert", "", "`FILE` with the certificate to use, and its chain, as PEM")
	flags.StringVar(&f.listen.KeyFile, "key", "", "`FILE` with its private key, as PEM")
	flags.StringVar(&f.catalogue, "catalogue", "", "folder or repository URL[#REF] of the apps that are offered (default those that ship with popup)")
	f.clouds.add(flags)
	f.state.add(flags)
	flags.DurationVar(&f.keepImages, "keep-images", 30*24*time.Hour, "how long an image that was baked is kept")
	flags.BoolVar(&f.allowPrivate, "allow-private-addresses", false, "fetch apps also from this machine and from private networks")
	flags.StringVar(&f.oidc.Issuer, "oidc-issuer", "", "`URL` of an OpenID provider that people may sign in with")
	flags.StringVar(&f.oidc.ClientID, "oidc-client-id", "", "what this console is called there")
	flags.StringVar(&f.oidc.SecretFile, "oidc-secret-file", "", "`FILE` with the client's secret")
	flags.StringVar(&f.oidc.Title, "oidc-title", "", "what people call the provider (default its host)")
	f.cluster.add(flags)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	cmd.AddCommand(newConsoleBackupCommand(&f.dataDir), newConsoleRestoreCommand(&f.dataDir),
		newConsoleRecoverCommand(&f.dataDir), newConsoleRecoverClusterCommand(&f.dataDir), newConsoleClaimCommand(&f.dataDir), newConsolePolicyCommand(),
		newConsoleClusterCommand(&f.dataDir), newConsoleClusterTokenCommand(&f.dataDir))
	return cmd
}

// garbage is how much there may be for each 100 bytes that are in use, where GOGC does
// not say: a console waits for most of its time, and its memory is somebody's small machine.
const garbage = 50

// serve runs the console until ctx ends.
func (f consoleFlags) serve(ctx context.Context, stdout io.Writer, log *slog.Logger) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	if f.keepImages < time.Hour {
		return usageError{fmt.Errorf("--keep-images %s: keep images for an hour at least", f.keepImages)}
	}
	at, err := findConsole(f.dataDir)
	if err != nil {
		return usageError{err}
	}
	if err := f.clouds.check(); err != nil {
		return usageError{err}
	}
	state, err := f.state.vault()
	if err != nil {
		return err
	}
	if f.oidc != (oidc.Config{}) {
		if err := f.oidc.Validate(); err != nil {
			return usageError{fmt.Errorf("--oidc: %w", err)}
		}
	}
	if err := f.cluster.check(at, f.clouds.names, f.listen.Domains); err != nil {
		return usageError{err}
	}
	f.cluster.url = f.listen.KnownURL()
	kept, err := at.open(ctx, f.cluster, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	f.listen.Dir, f.listen.Log = at.tls(), log
	listening, err := web.Listen(ctx, f.listen)
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, listening.Close()) }()
	self, sum, err := ownBinary()
	if err != nil {
		return err
	}
	sky, err := f.clouds.open(ctx, place{at: at, store: kept.store, keys: kept.keys, host: f.clouds.appsHost(listening.Host), sum: sum, log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sky.Close()) }()
	strangers := guard.New(guard.Options{AllowPrivate: f.allowPrivate})
	apps, err := catalogue.Open(ctx, catalogue.Options{Source: absolute(f.catalogue), Dir: at.catalogue(), Dial: strangers.DialContext,
		AllowLocal: f.allowPrivate, Log: log})
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, apps.Close()) }()
	binary := binaryAt(listening.URL, sum)
	binary.AnyCertificate = listening.Pin != "" // it is the console's own
	options := console.Options{
		Store: kept.store, Name: kept.address, Keys: kept.keys, Archives: kept.archives, State: state, Catalogue: apps, Guard: strangers,
		Clouds: sky.clouds, Cloud: f.clouds.names[0], Reach: sky.reach,
		URL: listening.URL, Pin: listening.Pin, Version: version, Log: log, Binary: binary, KeepImages: f.keepImages,
	}
	if kept.others != nil {
		options.Cluster, options.LogPeers = kept.others, kept.peers
	}
	c, err := console.New(ctx, options)
	if err != nil {
		return err
	}
	if err := c.CheckKeys(ctx); err != nil {
		log.Error("check the key file", "err", err)
	}
	server, err := web.New(web.Options{Console: c, Catalogue: apps, URL: listening.URL, Pin: listening.Pin, Version: version,
		Clouds: slices.Sorted(maps.Keys(sky.clouds)), Cloud: f.clouds.names[0], Binaries: map[string]string{sum: self}, Elsewhere: kept.elsewhere(), Provider: f.provider(listening.URL, c, kept.keys), Log: log})
	if err != nil {
		return usageError{err}
	}
	if err := at.admit(ctx, kept, c, listening.URL, map[string]string{sum: self}, log); err != nil {
		return err
	}
	control, err := web.ListenControl(at.dir)
	if err != nil {
		return err
	}
	if err := announce(ctx, stdout, c, listening.URL, log); err != nil {
		if errors.Is(err, ctx.Err()) { // told to stop before it began
			err = nil
		}
		return errors.Join(err, control.Close())
	}
	running := []func(context.Context) error{
		c.Run,
		apps.Run,
		func(ctx context.Context) error { return web.ServeControl(ctx, control, c) },
	}
	if kept.others != nil {
		running = append(running, kept.untilLeft)
	}
	for _, l := range append(sky.guests, listening) {
		running = append(running, func(ctx context.Context) error { return server.Serve(ctx, l) })
	}
	return together(ctx, running...)
}

// provider is the OpenID provider that the flags name; nil: none.
func (f consoleFlags) provider(url string, c *console.Console, keys *console.Keys) *oidc.Provider {
	if f.oidc == (oidc.Config{}) {
		return nil
	}
	return oidc.New(oidc.Options{Config: f.oidc, URL: url, People: c, Keys: keys})
}

// binaryAt is this executable, as the console at url serves it to its instances.
func binaryAt(url, sum string) userdata.Binary {
	return userdata.Binary{URLs: []string{url + "/download/" + sum}, SHA256: map[string]string{runtime.GOARCH: sum}}
}

// announce says where the console is, and as long as nobody owns it, how to. Of several
// only the first one does.
func announce(ctx context.Context, stdout io.Writer, c *console.Console, url string, log *slog.Logger) error {
	if _, err := fmt.Fprintln(stdout, "listening on", url); err != nil {
		return err
	}
	claimed, err := c.Claimed(ctx)
	if err != nil || claimed {
		return err
	}
	if state, err := c.ClusterState(ctx, console.System); err == nil && len(state.Members) > 1 {
		log.Info("nobody owns these consoles yet; popup console claim prints a new link") // one that another printed stays good
		return nil
	}
	link, err := c.ClaimLink(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "claim:", link)
	return err
}

// together runs all until ctx ends or one of them does, and waits for the others. To end
// because one was told to is no error.
func together(ctx context.Context, all ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, run := range all {
		wg.Go(func() {
			defer stop()
			if errs[i] = run(ctx); ctx.Err() != nil && errors.Is(errs[i], ctx.Err()) {
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
