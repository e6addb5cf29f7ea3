package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"popup/datasync"
	"popup/internal/wire"
)

// pause lets both sides notice that an answer, or a connection, has ended.
const pause = 10 * time.Millisecond

// A resident contender is a process that lives on between two polls, as the
// appliance does. It reads how often to sync, and answers with what that used.
type resident struct {
	in     io.WriteCloser
	out    *json.Decoder
	wait   func() error
	copyAt string
}

type answer struct {
	usage
	Error string `json:"error"`
}

func residents(name, copyAt string, env ...string) func(testing.TB, task) contender {
	return func(t testing.TB, k task) contender {
		cmd := role(t, name, append(append(k.env, env...), "BENCH_URL="+k.url, "BENCH_DIR="+k.dir, "BENCH_RELAY="+k.relay, "BENCH_REST="+k.rest)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return &resident{in: in, out: json.NewDecoder(bufio.NewReader(out)), wait: cmd.Wait, copyAt: filepath.Join(k.dir, copyAt)}
	}
}

func (r *resident) path() string { return r.copyAt }

func (r *resident) end() (int64, error) { return 0, errors.Join(r.in.Close(), r.wait()) }

func (r *resident) sync(_ context.Context, times int) (usage, error) {
	if _, err := fmt.Fprintln(r.in, times); err != nil {
		return usage{}, err
	}
	var a answer
	if err := r.out.Decode(&a); err != nil {
		return usage{}, err
	}
	if a.Error != "" {
		return usage{}, errors.New(a.Error)
	}
	return a.usage, nil
}

// reside is the process of a resident contender.
func reside(ctx context.Context, open func() (func(context.Context) error, error)) error {
	sync, err := open()
	if err != nil {
		return err
	}
	var before time.Duration // of the first one, the start of the process is a part
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		times, err := strconv.Atoi(in.Text())
		for n := 0; n < times && err == nil; n++ {
			if err = sync(ctx); err == nil {
				rested := cpu(syscall.RUSAGE_SELF)
				err = rest(ctx, os.Getenv("BENCH_REST"))
				before += cpu(syscall.RUSAGE_SELF) - rested
			}
		}
		now := cpu(syscall.RUSAGE_SELF) + cpu(syscall.RUSAGE_CHILDREN)
		a := answer{usage: usage{CPU: now - before, Peak: peak("self")}}
		if err != nil {
			a.Error = err.Error()
		}
		if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
			return err
		}
		before = cpu(syscall.RUSAGE_SELF) + cpu(syscall.RUSAGE_CHILDREN)
	}
	return nil
}

// rest has the server end what is idle.
func rest(ctx context.Context, url string) error {
	if url == "" {
		return nil
	}
	<-time.After(pause)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	<-time.After(pause)
	return res.Body.Close()
}

// peak is the most memory that a process has had, in bytes. Unlike what rusage
// tells, it leaves out whoever started the process.
func peak(pid string) int64 {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	fmt.Sscan(string(rest), &kib)
	return kib << 10
}

// openPopup syncs as the appliance does: an hour goes by from one update to the
// next, so that what was replaced is removed in time.
func openPopup() (func(context.Context) error, error) {
	source, err := datasync.NewSource(wire.Source{URL: os.Getenv("BENCH_URL"), Ref: "main", Relay: os.Getenv("BENCH_RELAY")}, datasync.SourceOptions{})
	if err != nil {
		return nil, err
	}
	var updates time.Duration
	publisher, err := datasync.OpenPublisher(filepath.Join(os.Getenv("BENCH_DIR"), "data"),
		datasync.PublisherOptions{Share: true, Now: func() time.Time { return time.Now().Add(updates * time.Hour) }})
	if err != nil {
		return nil, err
	}
	syncer := datasync.NewSyncer(datasync.Config{Source: source, Publisher: publisher, Extract: os.Getenv("BENCH_EXTRACT")})
	return func(ctx context.Context) error {
		rev, changed, err := syncer.Stage(ctx)
		if err != nil || !changed {
			return err
		}
		updates++
		return errors.Join(syncer.Publish(rev), publisher.Prune(nil))
	}, nil
}

// openGoGit clones and pulls the newest commit alone, as its worktree does it.
func openGoGit() (func(context.Context) error, error) {
	dir, main := filepath.Join(os.Getenv("BENCH_DIR"), "copy"), plumbing.NewBranchReferenceName("main")
	return func(ctx context.Context) error {
		repo, err := gogit.PlainOpen(dir)
		if errors.Is(err, gogit.ErrRepositoryNotExists) {
			_, err := gogit.PlainCloneContext(ctx, dir, false,
				&gogit.CloneOptions{URL: os.Getenv("BENCH_URL"), ReferenceName: main, SingleBranch: true, Depth: 1, Tags: gogit.NoTags})
			return err
		}
		if err != nil {
			return err
		}
		tree, err := repo.Worktree()
		if err != nil {
			return err
		}
		err = tree.PullContext(ctx, &gogit.PullOptions{ReferenceName: main, SingleBranch: true, Depth: 1, Force: true})
		if errors.Is(err, gogit.NoErrAlreadyUpToDate) {
			return nil
		}
		return err
	}, nil
}
