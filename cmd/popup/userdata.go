package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"popup/internal/wire"
	"popup/userdata"
)

// defaultBinaryURL is where releases of this build are downloaded from, set by
// the linker in releases. {arch} in it stands for the architecture.
var defaultBinaryURL string

// machineFlags are what a machine is told beside its app.
type machineFlags struct {
	app               appFlags
	trust             trustFlags
	format, checksums string
	listen, email     string
	metrics           string
	fleet             int
	binaries, domains []string
	gzip              bool
}

func (f *machineFlags) register(cmd *cobra.Command) {
	f.app.register(cmd)
	f.trust.register(cmd)
	cmd.Flags().StringVar(&f.format, "format", string(userdata.Script), "script, cloud-config or mime")
	cmd.Flags().StringArrayVar(&f.binaries, "binary", nil, "URL the machine downloads popup from, {arch} for its architecture; may be given again, and they are tried in turn")
	cmd.Flags().StringVar(&f.checksums, "checksums", "", "`FILE` that sha256sum wrote of popup-linux-amd64 and popup-linux-arm64; it pins popup (default this executable, for its own architecture)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "HOST:PORT the machine serves on (default :80)")
	cmd.Flags().StringArrayVar(&f.domains, "domain", nil, "name the machine is reached by over https, with a certificate it gets itself; may be given again")
	cmd.Flags().StringVar(&f.email, "email", "", "address the certificate authority may write to (default none)")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "HOST:PORT where the machine serves /metrics to whoever reaches it (default nowhere)")
	cmd.Flags().IntVar(&f.fleet, "fleet", 0, "how many machines are launched with this text; together they ask a repository no more than its host bears (default 1)")
	cmd.Flags().BoolVar(&f.gzip, "gzip", false, "compress; cloud-init unpacks it")
}

func newUserdataCommand() *cobra.Command {
	var f machineFlags
	cmd := &cobra.Command{
		Use:   "userdata APP|DIR|URL",
		Short: "print the user-data that turns a machine into an app",
		Long: `userdata prints what to paste into the user-data field of a launch form, or into a
root shell: it installs popup, which fetches and serves the app and ends on time.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.gzip && isTerminal(cmd.OutOrStdout()) {
				return usageError{errors.New("compressed user-data is not for a terminal; send it to a file, or leave --gzip out")}
			}
			made, err := f.render(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(made.text); err != nil {
				return fmt.Errorf("write user-data: %w", err)
			}
			made.tell(cmd.ErrOrStderr())
			return nil
		},
	}
	f.register(cmd)
	return cmd
}

// A rendering is user-data, and what it was made of.
type rendering struct {
	text  []byte
	plan  wire.Plan
	notes []string
}

// tell says what whoever launches it should know, once it was written.
func (r rendering) tell(stderr io.Writer) {
	for _, note := range r.notes {
		fmt.Fprintln(stderr, "popup:", note)
	}
}

// render makes the user-data of an app.
func (f machineFlags) render(ctx context.Context, app string) (rendering, error) {
	spec, err := f.spec()
	if err != nil {
		return rendering{}, usageError{err}
	}
	o, err := f.app.overrides()
	if err != nil {
		return rendering{}, err
	}
	if o.Trust, err = f.trust.read(); err != nil {
		return rendering{}, usageError{err}
	}
	loaded, origin, err := loadApp(ctx, app, f.app.given())
	if err != nil {
		return rendering{}, err
	}
	o.Origin, o.Listen, o.Domains, o.Email = origin, f.listen, f.domains, f.email
	o.Metrics, o.Fleet = f.metrics, f.fleet
	if spec.Plan, err = userdata.NewPlan(loaded, o); err != nil {
		return rendering{}, usageError{err}
	}
	if spec.Binary, err = spec.Binary.For(loaded.Resources.Architectures); err != nil {
		return rendering{}, usageError{err}
	}
	text, err := userdata.Render(spec)
	if err != nil {
		return rendering{}, usageError{err}
	}
	return rendering{text, spec.Plan, userdata.Notes(loaded, o, spec.Plan)}, nil
}

// spec is what the flags say about the machine.
func (f machineFlags) spec() (userdata.Spec, error) {
	format, err := userdata.ParseFormat(f.format)
	if err != nil {
		return userdata.Spec{}, fmt.Errorf("--format: %w", err)
	}
	urls := f.binaries
	if len(urls) == 0 && defaultBinaryURL != "" {
		urls = []string{defaultBinaryURL}
	}
	if len(urls) == 0 {
		return userdata.Spec{}, errors.New("a machine must know where to download popup from; give --binary URL, where this executable is published")
	}
	sums, err := f.sums()
	if err != nil {
		return userdata.Spec{}, err
	}
	return userdata.Spec{Format: format, Gzip: f.gzip, Binary: userdata.Binary{URLs: slices.Clone(urls), SHA256: sums}}, nil
}

// maxChecksums bounds a file of checksums.
const maxChecksums = 1 << 20

// sums pins popup by architecture: what --checksums says, or this executable.
func (f machineFlags) sums() (map[string]string, error) {
	if f.checksums == "" {
		sum, err := ownSum()
		if err != nil {
			return nil, fmt.Errorf("pin this executable: %w; give --checksums FILE", err)
		}
		return map[string]string{runtime.GOARCH: sum}, nil
	}
	file, err := os.Open(f.checksums)
	if err != nil {
		return nil, fmt.Errorf("read --checksums: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxChecksums))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read --checksums: %w", err)
	}
	sums, err := userdata.ParseChecksums(text)
	if err != nil {
		return nil, fmt.Errorf("read --checksums %s: %w", f.checksums, err)
	}
	return sums, nil
}

// ownSum is the SHA-256 of this executable.
func ownSum() (string, error) {
	_, sum, err := ownBinary()
	return sum, err
}

// ownBinary is where this executable is read, and its SHA-256. Where the system has
// such a name for it, the file stays the one that runs when another takes its place.
func ownBinary() (path, sum string, err error) {
	const running = "/proc/self/exe"
	if path = running; !readable(running) {
		if path, err = os.Executable(); err != nil {
			return "", "", err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return path, hex.EncodeToString(hash.Sum(nil)), errors.Join(err, file.Close())
}

func readable(path string) bool {
	file, err := os.Open(path)
	return err == nil && file.Close() == nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
