// Package userdata turns a plan into the bytes a machine is started with, and
// reads the plan back from them. It is pure: no file, network or clock is
// touched.
//
// One script installs popup, whichever way it arrives. Alone it is the user-data
// and carries the plan in a here-document; in a cloud-config and in a MIME
// multipart the plan is a file that cloud-init writes, and the script runs after.
package userdata

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"popup/internal/wire"
)

// Limit is how many bytes user-data may have, as EC2 and those that copy it
// count them: before base64.
const Limit = 16384

// Format is how user-data is written.
type Format string

// The formats. Each starts the same thing with the same script.
const (
	Script      Format = "script"       // a shell script: for cloud-init, or to paste into a root shell
	CloudConfig Format = "cloud-config" // a #cloud-config document
	MIME        Format = "mime"         // a multipart of a cloud-config and a script
)

// ParseFormat reads a format's name. Empty is Script.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case "":
		return Script, nil
	case Script, CloudConfig, MIME:
		return f, nil
	}
	return "", fmt.Errorf("unknown format %q; write %s, %s or %s", name, Script, CloudConfig, MIME)
}

// A Spec is what user-data is rendered from.
type Spec struct {
	Plan   wire.Plan
	Format Format // empty: Script
	Binary Binary
	// Gzip compresses the result. cloud-init unpacks it; a root shell does not.
	Gzip bool
}

// A Binary is where a machine gets popup itself, and which one it accepts.
type Binary struct {
	// URLs are tried in turn, http or https. {arch} in one stands for the
	// machine's architecture.
	URLs []string
	// SHA256 pins the file, in hexadecimal, by architecture (amd64, arm64). A
	// machine of another architecture refuses to install.
	SHA256 map[string]string
	// AnyCertificate takes the file from a server whose certificate nobody vouches for, as
	// a console's own is: the SHA-256 says that it is the right one.
	AnyCertificate bool
}

// archMark stands for the machine's architecture in a URL.
const archMark = "{arch}"

// machines are the architectures a binary may be pinned for, and what uname -m
// calls them.
var machines = map[string]string{
	"amd64": "x86_64",
	"arm64": "aarch64",
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate returns everything that is wrong with b, joined.
func (b Binary) Validate() error {
	var errs []error
	if len(b.URLs) == 0 {
		errs = append(errs, errors.New("user-data must say where popup is downloaded from; give a URL"))
	}
	for _, u := range b.URLs {
		if err := checkDownload(u); err != nil {
			errs = append(errs, err)
			continue
		}
		if len(b.SHA256) > 1 && !strings.Contains(u, archMark) {
			errs = append(errs, fmt.Errorf("%s is one file but %d architectures are pinned; write {arch} where its name differs", u, len(b.SHA256)))
		}
	}
	if len(b.SHA256) == 0 {
		errs = append(errs, errors.New("no SHA-256 is pinned; a machine would have to believe any download"))
	}
	for _, arch := range slices.Sorted(maps.Keys(b.SHA256)) {
		if machines[arch] == "" {
			errs = append(errs, fmt.Errorf("architecture %q is not one popup is built for; those are amd64 and arm64", arch))
		}
		if !digestForm.MatchString(b.SHA256[arch]) {
			errs = append(errs, fmt.Errorf("the SHA-256 for %s is not 64 hexadecimal digits, in lower case", arch))
		}
	}
	return errors.Join(errs...)
}

// checkDownload refuses what a shell, curl or wget might take for anything but
// a plain download.
func checkDownload(raw string) error {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("'\"\\`", r) }) {
		return errors.New("a binary's URL holds a space, a quote, a backslash or a character outside ASCII; percent-encode it")
	}
	u, err := url.Parse(strings.ReplaceAll(raw, archMark, "arch"))
	if err != nil {
		return errors.New("a binary's URL cannot be read; write one like https://example.org/popup-linux-{arch}")
	}
	if u.User != nil {
		return fmt.Errorf("the binary's URL on %s carries a user or password, which every reader of user-data would see; use one that needs none", u.Host)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Fragment != "" {
		return fmt.Errorf("binary URL %s is not a plain download; write one like https://example.org/popup-linux-{arch}", raw)
	}
	return nil
}

// For is b with only the architectures an app runs on. None named means any.
func (b Binary) For(architectures []string) (Binary, error) {
	if len(architectures) == 0 {
		return b, nil
	}
	pinned := slices.Sorted(maps.Keys(b.SHA256))
	b.SHA256 = maps.Clone(b.SHA256)
	maps.DeleteFunc(b.SHA256, func(arch, _ string) bool { return !slices.Contains(architectures, arch) })
	if len(b.SHA256) == 0 {
		return Binary{}, fmt.Errorf("the app runs on %s, and popup is pinned for %s only; give --checksums with a SHA-256 for it",
			strings.Join(architectures, " and "), strings.Join(pinned, " and "))
	}
	return b, nil
}

// sumForm is a line of sha256sum's for a release of popup.
var sumForm = regexp.MustCompile(`(?m)^([0-9a-f]{64}) [ *](?:.*/)?popup-linux-([a-z0-9]+)\r?$`)

// ParseChecksums reads the SHA-256 of popup by architecture out of what
// sha256sum wrote for popup-linux-amd64 and popup-linux-arm64. Other files in it
// are passed over.
func ParseChecksums(text []byte) (map[string]string, error) {
	sums := make(map[string]string)
	for _, m := range sumForm.FindAllSubmatch(text, -1) {
		sum, arch := string(m[1]), string(m[2])
		if machines[arch] == "" {
			continue
		}
		if old, twice := sums[arch]; twice && old != sum {
			return nil, fmt.Errorf("popup-linux-%s is in it twice, with different sums", arch)
		}
		sums[arch] = sum
	}
	if len(sums) == 0 {
		return nil, errors.New("no line of it is a SHA-256 of popup-linux-amd64 or popup-linux-arm64, as sha256sum writes them")
	}
	return sums, nil
}
