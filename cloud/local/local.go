// Package local is a cloud of plain processes: each of its machines is a popup up on
// this one, with a root and a port of its own, started from the same user-data that
// any other cloud would be given, which is only read, never run.
//
// Beside what package kept lays out, an instance's folder has
//
//	log, log.1                  what popup said since its log was open
//	tmp/                        its TMPDIR
//	root/                       popup's
//
// What an app is made and run by is confined as on any machine. The popup that
// fetches for it is not: it is our own program, and runs as the console's user.
package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/metadata"
	"popup/internal/process"
	"popup/internal/sandbox"
	"popup/userdata"
)

// Options are what the cloud is opened with.
type Options struct {
	// Dir is where the instances are; it is made. Where the console is root, apps have a
	// user of their own, who must be able to enter Dir and all folders above it.
	Dir   string
	Popup string // the popup program; empty: the one that runs
	Host  string // the address of this machine that apps listen on; empty: 127.0.0.1
	// AllowUnconfined launches strangers' apps also where nothing confines them.
	AllowUnconfined bool
	Log             *slog.Logger
}

// The names in the folder of an instance; the package comment says what they are.
const (
	logName    = "log"
	tempName   = "tmp"
	rootName   = "root"
	configName = rootName + "/etc/popup/config.yaml"
)

// A Cloud keeps instances on this machine. It implements console.Cloud.
type Cloud struct {
	*kept.Cloud
	kind *kind
}

// Open takes the folder for this console, adopts the instances that run in it, and
// has the others started again. Until Close it is looked after them. The error says
// so where another console has the folder.
func Open(opts Options) (*Cloud, error) {
	folder := kept.Options{Dir: opts.Dir, Mode: folderMode(), Popup: opts.Popup, Host: opts.Host, Log: opts.Log}
	if err := folder.Complete(); err != nil {
		return nil, err
	}
	k := &kind{Options: folder, confines: sandbox.LandlockABI() > 0, allowUnconfined: opts.AllowUnconfined}
	cloud, err := kept.Open(folder, k)
	if err != nil {
		return nil, err
	}
	return &Cloud{cloud, k}, nil
}

// folderMode lets an app's own user, where it has one, pass to what is below.
func folderMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// A kind is a kept.Kind of processes.
type kind struct {
	kept.Options
	confines        bool // the kernel can confine an app
	allowUnconfined bool
}

// Fill implements kept.Kind.
func (k *kind) Fill(m *kept.Machine, l console.Launch) error {
	plan, err := k.plan(l)
	if err != nil {
		return err
	}
	config, err := userdata.EncodePlan(plan)
	if err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{
		{rootName, folderMode()}, {tempName, folderMode()},
		{filepath.Dir(filepath.Dir(configName)), folderMode()}, {filepath.Dir(configName), 0o700},
	} {
		if err := os.Mkdir(m.At(d.name), d.mode); err != nil {
			return err
		}
	}
	return atomicfile.Write(m.At(configName), config, 0o600)
}

// Open implements kept.Kind.
func (k *kind) Open(m kept.Machine) kept.Program { return &instance{Machine: m, popup: k.Popup} }

// Clear implements kept.Kind.
func (k *kind) Clear(path string) error {
	// What popup started; popup itself, which starts what it finds dead, does not run any more.
	if _, err := process.EndOrphans(filepath.Join(path, rootName, "run/popup/processes")); err != nil {
		return err
	}
	return removeSockets(path)
}

// An instance is popup up for a machine.
type instance struct {
	kept.Machine
	popup   string
	journal journal
}

// Spec implements kept.Program.
func (i *instance) Spec() process.Spec {
	return process.Spec{
		Name: "popup",
		Argv: []string{i.popup, "up", "--root", i.At(rootName), "--listen", i.Address, "--log", i.At(logName)},
		// As on any other machine: nothing of ours is in it, neither a home nor a key, nor what
		// this machine may.
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TMPDIR=" + i.At(tempName),
			metadata.DisabledEnv + "=true"},
	}
}

// What a machine's end is called, while popup still says so and once it does not run.
const (
	saysOver = "its end came; it answers with a page that says so"
	isOver   = "its end came"
)

// Look implements kept.Program.
func (i *instance) Look(pid int) kept.Look {
	over := i.journal.over(i.Path)
	switch {
	case pid != 0 && over:
		return kept.Look{State: console.MachineRunning, Detail: saysOver}
	case pid != 0:
		return kept.Look{State: console.MachineRunning}
	case over:
		return kept.Look{State: console.MachineStopped, Detail: isOver, Over: true}
	}
	return kept.Look{State: console.MachinePending, Detail: "popup ended: " + i.lastWords()}
}

// longestWords bounds what is shown of a program's last line, in bytes.
const longestWords = 500

// lastWords is the last line that popup said on its way out.
func (i *instance) lastWords() string {
	text, err := kept.ReadTail(i.Path, kept.OutputName, 8<<10)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last, ours := bytes.CutPrefix(lines[len(lines)-1], []byte("popup: "))
	if err != nil || !ours {
		return "it did not say why"
	}
	return strings.ToValidUTF8(string(last[:min(len(last), longestWords)]), "")
}

// socketsPrefix begins the name of a folder for sockets that popup makes elsewhere,
// where the path of its root is too long for their addresses.
const socketsPrefix = "popup-s-"

// removeSockets removes that folder where popup was killed and could not.
func removeSockets(path string) error {
	text, err := kept.ReadTail(path, filepath.Join(rootName, filepath.Dir(journalName), "facts.json"), 1<<20)
	if err != nil {
		return nil // there is no such instance yet
	}
	var facts struct {
		Sockets string `json:"sockets"`
	}
	if json.Unmarshal(text, &facts) != nil || !strings.HasPrefix(filepath.Base(facts.Sockets), socketsPrefix) {
		return nil
	}
	info, err := os.Lstat(facts.Sockets)
	if err != nil || !info.IsDir() {
		return nil
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil // it is somebody else's by now
	}
	if err := os.RemoveAll(facts.Sockets); err != nil {
		return fmt.Errorf("remove its sockets: %w", err)
	}
	return nil
}

// Check implements kept.Kind.
func (k *kind) Check(_ context.Context, l console.Launch) error {
	err := k.checkMachine(l)
	if len(l.UserData) > 0 {
		_, planErr := k.plan(l)
		err = errors.Join(err, planErr)
	}
	return err
}
