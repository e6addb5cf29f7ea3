package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/logfile"
	"popup/internal/machine"
	"popup/internal/process"
)

// The names of what a keeper writes into the folder of its machine.
const (
	statusName  = "status.json"
	consoleName = "console.log" // what the machine prints, and console.log.1
	imageName   = "image"       // a link to the image that it was started from first
	// mostConsole bounds the console's logs, in bytes.
	mostConsole = 4 << 20
)

// KeeperGrace is how long a keeper may take to take its machine away. It is a moment,
// but where an image is being built.
const KeeperGrace = 40 * time.Second

// A Keeper is a program that has one machine: it starts it, is its way to the console,
// says how it is, and ends when the machine does. It needs nothing of the console.
type Keeper struct {
	Machine
	UserData []byte
	Console  io.Writer // for what the machine prints
}

// A Held is a machine as its keeper has it.
type Held interface {
	State() (machine.State, error)
	Done() <-chan struct{}
	Close() error
}

// Keeping is the program of a keeper: this one again, by its hidden verb.
func Keeping(m Machine, popup, verb string) Program { return keeping{m, popup, verb} }

type keeping struct {
	Machine
	popup, verb string
}

// Spec implements Program.
func (k keeping) Spec() process.Spec {
	return process.Spec{
		Name: "keeper", Argv: []string{k.popup, k.verb, k.Path, k.Address},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"},
	}
}

// Keep is the main of a keeper that was started with args, a whole os.Args: start
// starts its machine, which Keep closes, and says meanwhile what takes long. When
// handled is true the caller exits with code.
func Keep(args []string, verb string, start func(context.Context, *Keeper) (Held, error)) (handled bool, code int) {
	if len(args) < 2 || args[1] != verb {
		return false, 0
	}
	err := errors.New("keep a machine: its folder and its address are the two arguments")
	if len(args) == 4 {
		err = keep(args[2], args[3], start)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "popup:", err)
		return true, 1
	}
	return true, 0
}

func keep(path, address string, start func(context.Context, *Keeper) (Held, error)) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	k := &Keeper{Machine: Machine{Path: path, Address: address}}
	if k.Record, err = ReadRecord(path); err == nil {
		k.UserData, err = os.ReadFile(k.At(UserDataName))
	}
	if err != nil {
		return k.failed(err)
	}
	log, err := logfile.Open(k.At(consoleName), mostConsole)
	if err != nil {
		return k.failed(err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	k.Console = log
	held, err := start(ctx, k)
	if err != nil {
		return k.failed(err)
	}
	if err := k.write(status{State: stateRunning}); err != nil {
		return errors.Join(err, held.Close())
	}
	select {
	case <-held.Done():
	case <-ctx.Done():
	}
	state, failure := held.State()
	failure = errors.Join(failure, held.Close())
	switch {
	case state == machine.PoweredOff:
		return errors.Join(k.write(status{State: stateOff}), failure)
	case ctx.Err() != nil:
		return errors.Join(k.write(status{State: stateFailed, Detail: "its keeper was told to end"}), failure)
	default:
		return k.failed(errors.Join(fmt.Errorf("it is %s", state), failure))
	}
}

// ReadRecord reads the record in the folder of a machine.
func ReadRecord(path string) (Record, error) {
	var r Record
	text, err := os.ReadFile(filepath.Join(path, RecordName))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read record of the machine: %w", err)
	}
	return r, nil
}

// Say tells whoever asks how the machine is why it does not run yet.
func (k *Keeper) Say(detail string) error {
	return k.write(status{State: stateStarting, Detail: detail})
}

func (k *Keeper) failed(err error) error {
	return errors.Join(err, k.write(status{State: stateFailed, Detail: err.Error()}))
}

// What a keeper may say of its machine.
const (
	stateStarting = "starting"
	stateRunning  = "running"
	stateOff      = "off"    // it turned itself off: it is not started again
	stateFailed   = "failed" // it ended in any other way
)

// A status is what a keeper said last.
type status struct {
	Keeper int    `json:"keeper"` // its number: what another says is not of this start
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

func (k *Keeper) write(s status) error {
	s.Keeper = os.Getpid()
	text, err := json.Marshal(s)
	if err == nil {
		err = atomicfile.Write(k.At(statusName), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write how the machine is: %w", err)
	}
	return nil
}

// mostStatus bounds what is read of it, in bytes.
const mostStatus = 64 << 10

// Look implements Program.
func (k keeping) Look(pid int) Look {
	var s status
	text, err := ReadTail(k.Path, statusName, mostStatus)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	switch {
	case err == nil && s.State == stateOff:
		return Look{State: console.MachineStopped, Detail: "it turned itself off", Over: true}
	case pid == 0 && err == nil && s.State == stateFailed:
		return Look{State: console.MachinePending, Detail: "it does not run: " + s.Detail}
	case pid == 0:
		return Look{State: console.MachinePending, Detail: "it does not run: its keeper was killed"}
	case err != nil || s.Keeper != pid:
		return Look{State: console.MachinePending, Detail: "it is being started"}
	case s.State == stateRunning:
		return Look{State: console.MachineRunning}
	}
	return Look{State: console.MachinePending, Detail: s.Detail}
}

// CompleteImage is cfg as a keeper, which has no home, can be told it.
func CompleteImage(cfg machine.ImageConfig) (_ machine.ImageConfig, err error) {
	cfg.Log = nil
	if cfg.Cache == "" {
		cfg.Cache, err = machine.DefaultCache()
	}
	if err == nil {
		cfg.Cache, err = filepath.Abs(cfg.Cache)
	}
	return cfg, err
}

// Image is what the machine was started from first: which it needs again where it was
// left, whatever an image of cfg would be made of by now.
func (k *Keeper) Image(ctx context.Context, cfg machine.ImageConfig) (*machine.Image, error) {
	link := k.At(imageName)
	if dir, err := os.Readlink(link); err == nil {
		return k.keepImage(machine.OpenImage(dir))
	}
	if err := k.Say("its image is looked for, and built where there is none, which takes minutes"); err != nil {
		return nil, err
	}
	image, err := k.keepImage(machine.BuildImage(ctx, cfg))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(atomicfile.Symlink(image.Dir(), link), k.Say("")); err != nil {
		return nil, errors.Join(err, image.Close())
	}
	return image, nil
}

// keepImage has an image stay for as long as the machine does, also while that is down.
func (k *Keeper) keepImage(image *machine.Image, err error) (*machine.Image, error) {
	if err != nil {
		return nil, err
	}
	if err := image.KeepFor(k.At(imageName)); err != nil {
		return nil, errors.Join(err, image.Close())
	}
	return image, nil
}
