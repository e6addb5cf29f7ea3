package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// aptTimeout options keep a mirror that does not answer from holding a build.
var aptTimeout = []string{`Acquire::http::Timeout "30"`, `Acquire::https::Timeout "30"`, `Acquire::Retries "3"`}

// aptSources returns this machine's own package sources of a suite and its
// updates, as lines of a sources.list. They are read and never written down
// elsewhere: which mirror a machine uses is its own affair.
func aptSources(ctx context.Context, suite string) ([]string, error) {
	out, err := output(exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(RELEASE)\t$(SITE)\t$(COMPONENT)\t$(SIGNED_BY)", "Created-By: Packages"))
	if err != nil {
		return nil, fmt.Errorf("read this machine's apt sources: %w", err)
	}
	lines := sourceLines(out, suite)
	if len(lines) == 0 {
		return nil, fmt.Errorf("read this machine's apt sources: none is of the suite %q; add one in /etc/apt/sources.list.d, or ask for another suite", suite)
	}
	return lines, nil
}

// sourceLines turns apt-get's index targets into sources.list lines, keeping
// those of the suite.
func sourceLines(targets, suite string) []string {
	var lines []string
	for target := range strings.Lines(targets) {
		field := strings.Split(strings.TrimSuffix(target, "\n"), "\t")
		if len(field) != 4 {
			continue
		}
		release, site, component, signedBy := field[0], field[1], field[2], field[3]
		if release != suite && !strings.HasPrefix(release, suite+"-") {
			continue
		}
		options := ""
		if strings.HasPrefix(signedBy, "/") { // apt leaves a field it does not have as it was written
			options = "[signed-by=" + signedBy + "] "
		}
		line := fmt.Sprintf("deb %s%s %s %s", options, site, release, component)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// aptOptions returns what this machine's apt was told about reaching and
// believing its mirrors, for another apt to be told the same.
func aptOptions(ctx context.Context) ([]string, error) {
	out, err := output(exec.CommandContext(ctx, "apt-config", "dump", "--format", "%F \"%v\"%n", "Acquire"))
	if err != nil {
		return nil, fmt.Errorf("read this machine's apt configuration: %w", err)
	}
	options := slices.Clone(aptTimeout)
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		switch name {
		case "Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date":
			options = append(options, strings.TrimSpace(line))
		}
	}
	return options, nil
}

// A release is this machine's distribution.
type release struct {
	id    string // debian, ubuntu
	suite string // bookworm
}

// thisRelease reads /etc/os-release.
func thisRelease() (release, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return release{}, fmt.Errorf("read this machine's release: %w", err)
	}
	r := parseRelease(text)
	if r.suite == "" {
		return release{}, errors.New("read this machine's release: /etc/os-release has no VERSION_CODENAME; name a suite")
	}
	return r, nil
}

func parseRelease(text []byte) release {
	var r release
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			r.id = value
		case "VERSION_CODENAME":
			r.suite = value
		}
	}
	return r
}

// kernelPackage is the smallest kernel that boots under QEMU.
func (r release) kernelPackage() string {
	if r.id == "ubuntu" {
		return "linux-image-virtual"
	}
	return "linux-image-cloud-" + runtime.GOARCH
}

// output runs a command and returns what it printed; an error carries the tail
// of what it said about itself.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", commandError(cmd, err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// commandError names the program that failed and what it last said, which may
// hold an address: those are cut to their host.
func commandError(cmd *exec.Cmd, err error, said []byte) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("run %s: it is not installed here", cmd.Args[0])
	}
	const tail = 600
	text := strings.TrimSpace(string(said))
	if len(text) > tail {
		text = "…" + text[len(text)-tail:]
	}
	if text == "" {
		return fmt.Errorf("run %s: %w", cmd.Args[0], err)
	}
	return fmt.Errorf("run %s: %w: %s", cmd.Args[0], err, redact(text))
}
