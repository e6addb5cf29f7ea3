package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"popup/apps"
	"popup/datasync"
	"popup/internal/tree"
	"popup/internal/wire"
)

// publishFlags say what is published where.
type publishFlags struct {
	to, ref, work, credentials string
	keep                       int
	every                      time.Duration
	json, verbose              bool
}

func newPublishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish SOURCE --to DIR|s3://bucket/prefix",
		Short: "write a repository's newest commit as static files, for many machines to fetch it from",
		Long: `publish makes a relay of a repository, given as URL[#REF], or of a folder: a few static
files that any web server or bucket can hold. Machines that are launched with --relay and
the address of these files fetch from there, and ask the repository itself only when
something is new. They believe nothing that the repository's commit does not vouch for.

Once, and exit 0; with --every, until it is told to stop. A bucket is signed in to with
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and is Amazon's unless AWS_ENDPOINT_URL_S3
says otherwise. docs/sync.md says how to have a web server serve what is written.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.publish(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&f.to, "to", "", "folder, or s3://bucket/prefix, that the files are written to")
	cmd.Flags().StringVar(&f.ref, "ref", "", "branch, tag or commit (default the repository's own branch)")
	cmd.Flags().IntVar(&f.keep, "keep", 5, "how many earlier commits the change is offered from")
	cmd.Flags().DurationVar(&f.every, "every", 0, "look again so often, like 10m, until told to stop (default once)")
	cmd.Flags().StringVar(&f.work, "work", "", "folder that is kept between runs (default one in your cache folder)")
	cmd.Flags().StringVar(&f.credentials, "credentials", "", "`FILE` to sign in to the repository with: user:password or a token on one line, or an SSH key")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	return cmd
}

func (f publishFlags) publish(cmd *cobra.Command, given string) (err error) {
	config, err := f.config(cmd, given)
	if err != nil {
		return usageError{err}
	}
	relay, err := datasync.OpenRelay(config)
	if err != nil {
		return usageError{err}
	}
	defer func() { err = errors.Join(err, relay.Close()) }()
	report, err := relay.Publish(cmd.Context())
	if f.every == 0 {
		if err != nil {
			return err
		}
		return f.print(cmd, report)
	}
	tell := func(report datasync.RelayReport, err error) {
		if err == nil {
			err = f.print(cmd, report)
		}
		if err != nil && cmd.Context().Err() == nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "popup:", err)
		}
	}
	tell(report, err)
	if err := relay.Follow(cmd.Context(), tell); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// config is what the flags say.
func (f publishFlags) config(cmd *cobra.Command, given string) (datasync.RelayConfig, error) {
	address, ref, named := strings.Cut(given, "#")
	switch {
	case f.to == "":
		return datasync.RelayConfig{}, errors.New("say where to publish: --to DIR, or --to s3://bucket/prefix")
	case named && f.ref != "" && f.ref != ref:
		return datasync.RelayConfig{}, fmt.Errorf("%s names %s, and --ref %s; leave out one of them", given, ref, f.ref)
	case f.keep < 1:
		return datasync.RelayConfig{}, fmt.Errorf("--keep %d: keep at least 1", f.keep)
	case f.every < 0:
		return datasync.RelayConfig{}, fmt.Errorf("--every %s: write a length of time like 10m", f.every)
	case !named:
		ref = f.ref
	}
	source := wire.Source{URL: address, Ref: ref, CredentialsFile: f.credentials}
	switch {
	case strings.HasPrefix(address, "s3://"):
		source.Kind = apps.SourceS3
	case apps.IsRemote(address) && apps.IsArchive(address):
		source.Kind = apps.SourceHTTPS
	}
	work, err := f.workFolder(source)
	return datasync.RelayConfig{Source: source, To: f.to, Work: work, Keep: f.keep, Every: f.every,
		Options: datasync.SourceOptions{Catalogue: shippedFolder, Logger: newLogger(cmd.ErrOrStderr(), f.verbose)}}, err
}

// workFolder is another one for everything that is published elsewhere.
func (f publishFlags) workFolder(source wire.Source) (string, error) {
	if f.work != "" {
		return f.work, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find your cache folder: %w; give a folder with --work", err)
	}
	here, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find where this is: %w; give a folder with --work", err)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{here, source.URL, source.Ref, f.to}, "\n")))
	return filepath.Join(cache, "popup", "publish", hex.EncodeToString(sum[:8])), nil
}

func (f publishFlags) print(cmd *cobra.Command, r datasync.RelayReport) error {
	if f.json {
		return printJSON(cmd.OutOrStdout(), r)
	}
	word := "unchanged:"
	if r.Changed {
		word = "published"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s in %s (%s, and changes from %d revisions before)\n",
		word, r.Revision, r.To, tree.Bytes(r.Snapshot), r.Changes)
	return err
}
