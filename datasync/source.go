package datasync

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/tree"
	"popup/internal/wire"
)

// The kinds of sources a wire.Source may name.
const (
	kindGit    = "git"
	kindFolder = "folder"
	kindS3     = "s3"
	kindHTTPS  = "https"
)

// SourceOptions are what sources need from outside. The zero value serves git and folders.
type SourceOptions struct {
	// Catalogue hands out the folder of an app that ships with popup. Nil: there are none.
	Catalogue func(id string) (fs.FS, error)
	// DialContext makes every network connection; nil: an ordinary dialer, and the proxy of the environment.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Limp is the least that what is sent to us must come up to.
	Limp     meter.Limp
	MaxBytes int64        // of a fetched tree; 0: 1 GiB
	MaxFiles int          // entries of a fetched tree; 0: 100,000
	Logger   *slog.Logger // nil: nothing is logged
	// Instance and Fleet, as ParseSchedule takes them, keep a fleet whose relay fails
	// from coming to the source all at once.
	Instance string
	Fleet    int
}

// NewSource opens what spec names: a git repository, a bucket, an archive, a folder,
// or "catalogue:ID[/FOLDER]", by way of its relay where it has one. A local folder that
// is no git repository is a folder whatever its kind. What is not there yet is not an
// error: Head says so.
func NewSource(spec wire.Source, opts SourceOptions) (Source, error) {
	trust, err := newTrust(spec)
	if err != nil {
		return nil, err
	}
	source, err := openSource(spec, opts)
	if err != nil {
		return nil, err
	}
	if source, err = trust.with(source); err != nil {
		return nil, err
	}
	return withRelay(source, spec, opts)
}

func openSource(spec wire.Source, opts SourceOptions) (Source, error) {
	limits := tree.Limits{Bytes: opts.MaxBytes, Files: opts.MaxFiles}
	switch spec.Kind {
	case "", kindGit, kindFolder:
	case kindS3:
		return newS3(spec, opts, limits)
	case kindHTTPS:
		return newHTTPS(spec, opts, limits)
	default:
		return nil, fmt.Errorf("open source: there is no source of the kind %s; write git, s3, https or folder", strconv.Quote(spec.Kind))
	}
	if rest, ok := strings.CutPrefix(spec.URL, wire.CataloguePrefix); ok {
		return newShipped(rest, limits, opts.Catalogue)
	}
	if err := git.CheckURL(spec.URL); err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	path, local := localPath(spec.URL)
	if spec.Kind == kindFolder && !local {
		return nil, fmt.Errorf("open source: %s is not a folder of this machine", git.Redact(spec.URL))
	}
	if local && (spec.Kind == kindFolder || isPlainFolder(path)) {
		return newFolder(path, limits), nil
	}
	counted := &meter.Meter{}
	remote, err := git.New(spec.URL, git.Options{
		CredentialsFile: spec.CredentialsFile, HostKeys: spec.HostKeys, DialContext: opts.DialContext, Limits: limits, Limp: opts.Limp, Meter: counted,
	})
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	return &gitSource{remote: remote, ref: spec.Ref, limits: limits, meter: counted}, nil
}

// localPath is the path of an address on this machine.
func localPath(url string) (string, bool) {
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		return path, true
	}
	if strings.HasPrefix(url, "/") || strings.HasPrefix(url, ".") || !strings.Contains(url, ":") {
		return url, true
	}
	return "", false
}

func isPlainFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && !git.IsRepository(path)
}

// A gitSource is a ref of a git repository.
type gitSource struct {
	remote *git.Remote
	ref    string
	limits tree.Limits
	meter  *meter.Meter
	trust  trust
}

// Cost is what was asked and transferred so far.
func (s *gitSource) Cost() Cost { return s.meter.Read() }

func (s *gitSource) bounds() tree.Limits { return s.limits }

func (s *gitSource) String() string {
	if s.ref == "" {
		return s.remote.String()
	}
	return s.remote.String() + "#" + s.ref
}

func (s *gitSource) Head(ctx context.Context) (Revision, error) {
	commit, err := s.remote.Head(ctx, s.ref)
	return Revision(commit), err
}

func (s *gitSource) Fetch(ctx context.Context, rev, have Revision, w *tree.Writer) error {
	return asMoved(s.remote.Fetch(ctx, git.Commit(rev), git.Commit(have), w))
}
