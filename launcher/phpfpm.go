package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"popup/launcher/front"
)

// errNoPHP says what to install.
var errNoPHP = errors.New("this app is served by PHP and php-fpm is not installed; list it in app.yaml under packages (apt: [php-fpm]), or install it")

// phpFPM finds this machine's php-fpm: on the PATH, or in sbin, where Debian names
// it with its version. Of several the newest is taken.
func phpFPM(sbin string) (string, error) {
	if path, err := exec.LookPath("php-fpm"); err == nil {
		return path, nil
	}
	found, err := filepath.Glob(filepath.Join(sbin, "php-fpm*"))
	if err != nil || len(found) == 0 {
		return "", errNoPHP
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // 8.9, then 8.10
	return found[len(found)-1], nil
}

// poolNumber tells the pools of an instance apart while one replaces the other.
var poolNumber atomic.Int64

// startPHP starts a php-fpm for one view. Each view has its own, so that no
// cache of PHP's (paths, opcodes) outlives the revision it was filled from.
func (a *Appliance) startPHP(ctx context.Context, r *running) error {
	program, err := phpFPM("/usr/sbin")
	if err != nil {
		return err
	}
	if err := a.makeView(ctx, r, a.mounts(r.pair, r.manifest, r.manifest.Service.RootDir)); err != nil {
		return err
	}
	name := fmt.Sprintf("fpm-%d", poolNumber.Add(1))
	socket := filepath.Join(a.sockets, name)
	config, err := a.writePool(name, socket)
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { return os.Remove(config) })
	env, err := a.environment(r, "")
	if err != nil {
		return err
	}
	r.process, err = a.runApp(ctx, appSpec{name: name, dir: r.root, env: env, argv: []string{
		program, "--nodaemonize", "--force-stderr", "--fpm-config", config,
		"-d", "cgi.fix_pathinfo=0", "-d", "expose_php=0", "-d", "sys_temp_dir=" + a.at.temp(), "-d", "opcache.lockfile_path=" + a.at.temp(),
	}})
	if err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	if err := awaitSocket(ctx, r, socket); err != nil {
		return err
	}
	return a.handlePHP(r, socket)
}

func (a *Appliance) handlePHP(r *running, socket string) error {
	release, err := r.openRoot(r.root)
	if err != nil {
		return err
	}
	mounts, err := r.frontMounts()
	if err != nil {
		return err
	}
	r.handler, err = front.PHP(front.PHPOptions{
		Network: "unix", Address: socket, View: r.root, Release: release, Cache: a.cache,
		PublishPath: r.manifest.Serve.PublishPath, Index: r.manifest.Serve.Index, Mounts: mounts,
		TempDir: a.at.run(), Stderr: a.appLog("php"),
	})
	return err
}

// writePool writes php-fpm's configuration. Every value in it is ours: nothing
// from a manifest stands in it.
func (a *Appliance) writePool(name, socket string) (path string, err error) {
	path = filepath.Join(a.sockets, name+".conf")
	lines := []string{
		"[global]",
		"error_log = /dev/null", // --force-stderr is where it logs; the default cannot be opened
		"log_limit = 8192",
		"log_level = warning",
		"[" + name + "]",
		"listen = " + socket,
		"listen.mode = 0600",
		"pm = ondemand",
		"pm.max_children = 16",
		"pm.process_idle_timeout = 60s",
		"pm.max_requests = 1000",
		"clear_env = no",
		"catch_workers_output = yes",
		"decorate_workers_output = no",
		"security.limit_extensions = .php",
		"request_terminate_timeout = 60s",
	}
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// awaitSocket waits until php-fpm answers, or says why it never will.
func awaitSocket(ctx context.Context, r *running, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-r.died():
			return fmt.Errorf("php-fpm ended by itself: %w%s", r.process.Err(), r.tail())
		case <-ctx.Done():
			return fmt.Errorf("php-fpm opened no socket in 20s: %w%s", err, r.tail())
		}
	}
}
