package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"popup/internal/process"
	"popup/internal/sandbox"
)

// scriptTimeout bounds a build or a script of the app, so that one that hangs is seen.
const scriptTimeout = 30 * time.Minute

// An appSpec is a program of the app's: its argv, and what it is given.
type appSpec struct {
	name string
	dir  string
	env  []string
	argv []string
	// writes is a folder below popup's own that this program may write: a build's.
	writes string
}

// prepareUser makes, where popup is root, the user that the app's code runs as,
// closes the instance metadata to it, and gives it what is its own to write.
func (a *Appliance) prepareUser() error {
	if os.Geteuid() != 0 {
		a.note("popup is not root here: the app runs as the same user, %s", map[bool]string{
			true: "confined to its own folders by Landlock", false: "and this kernel has no Landlock to confine it"}[a.shielded()])
	} else {
		user, err := sandbox.EnsureUser(appUser)
		if err != nil {
			return err
		}
		a.user = &user
		if err := enterable(a.at.root); err != nil {
			return err
		}
	}
	uid, gid := a.ids()
	for _, dir := range []string{a.at.state(), a.at.home()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create %s: %w", dir, err)
		}
		if dir == a.at.state() && a.volume != nil {
			continue // nobody writes where the disk hides it
		}
		if err := os.Lchown(dir, uid, gid); err != nil {
			return fmt.Errorf("give %s to the app: %w", dir, err)
		}
	}
	return a.emptyTemp(uid, gid)
}

// emptyTemp makes the app's temporary folder anew, whatever the app made of it:
// what it left there would stay for the machine's life.
func (a *Appliance) emptyTemp(uid, gid int) (err error) {
	home, err := os.OpenRoot(a.at.home())
	if err != nil {
		return fmt.Errorf("empty the app's temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	name := filepath.Base(a.at.temp())
	if err := home.RemoveAll(name); err != nil {
		return fmt.Errorf("empty the app's temporary folder: %w", err)
	}
	if err := home.Mkdir(name, 0o700); err != nil {
		return fmt.Errorf("empty the app's temporary folder: %w", err)
	}
	return home.Lchown(name, uid, gid)
}

// enterable says which folder on the way to root keeps the app's user out.
func enterable(root string) error {
	for dir := root; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the app runs as its own user, %s, which may not enter %s; give --root a folder that everybody may enter, like one below /var/lib", appUser, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// closeMetadata keeps the app from the instance's credentials. An app that says
// it needs them says so in its manifest, where everybody can read it.
func (a *Appliance) closeMetadata() error {
	if a.user == nil {
		return nil
	}
	if a.opts.Plan.Manifest.Metadata == "allow" {
		return sandbox.OpenMetadata(a.user.UID)
	}
	if err := sandbox.CloseMetadata(a.user.UID); err != nil {
		return fmt.Errorf("close the instance metadata to the app: %w; an app that may read it says \"metadata: allow\" in app.yaml", err)
	}
	return nil
}

// ids are the app's user and group; -1 leaves an owner as it is.
func (a *Appliance) ids() (uid, gid int) {
	if a.user == nil {
		return -1, -1
	}
	return int(a.user.UID), int(a.user.GID)
}

// runApp starts a program of the app's: as its user, without privileges, with
// nothing of our environment.
func (a *Appliance) runApp(ctx context.Context, s appSpec) (*process.Process, error) {
	spec, err := a.confine(s)
	if err != nil {
		return nil, err
	}
	return process.Start(ctx, spec)
}

// runScript runs a command line of the app's to its end.
func (a *Appliance) runScript(ctx context.Context, s appSpec) error {
	ctx, cancel := context.WithTimeout(ctx, scriptTimeout)
	defer cancel()
	spec, err := a.confine(s)
	if err != nil {
		return err
	}
	return finished(process.Run(ctx, spec))
}

// runTool runs a program of the machine's own, as we are.
func (a *Appliance) runTool(ctx context.Context, name string, argv, env []string) error {
	return finished(process.Run(ctx, process.Spec{
		Name: name, Argv: argv, Env: append(env, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=/root"), RunDir: a.at.records(),
	}))
}

func finished(res process.Result, err error) error {
	if err != nil && res.Output != "" {
		return fmt.Errorf("%w\nits output ends:\n%s", err, res.Output)
	}
	return err
}

func (a *Appliance) confine(s appSpec) (process.Spec, error) {
	argv, err := sandbox.Policy{User: a.user, Landlock: a.landlock(s)}.Command(s.argv)
	if err != nil {
		return process.Spec{}, err
	}
	return process.Spec{Name: s.name, Argv: argv, Dir: s.dir, Env: s.env, RunDir: a.at.records(), Output: a.appLog(s.name)}, nil
}

// landlock confines the app to the machine's programs, the published trees, and what
// is the app's to write: where it is no user of its own, and where popup has not the
// machine for itself. The apps of all roots of a machine are one user.
func (a *Appliance) landlock(s appSpec) *sandbox.Landlock {
	if a.user != nil && a.at.root == "/" {
		return nil
	}
	l := sandbox.System()
	l.Execute = append(l.Execute, a.at.releases(), a.at.data(), a.at.views())
	l.ReadWrite = append(l.ReadWrite, a.at.state(), a.at.home(), a.sockets)
	if s.writes != "" {
		l.Execute = append(l.Execute, s.writes)
		l.ReadWrite = append(l.ReadWrite, s.writes)
	}
	return l
}

// shielded reports whether the app cannot write what popup publishes, though it is read.
func (a *Appliance) shielded() bool { return a.user != nil || sandbox.LandlockABI() > 0 }

// environment is all that the app is told. What popup says wins over a setting of the same name.
func (a *Appliance) environment(r *running, port string) ([]string, error) {
	env, err := a.settings(r)
	if err != nil {
		return nil, err
	}
	maps.Copy(env, map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
		"HOME": a.at.home(), "TMPDIR": a.at.temp(),
		"STATE_DIR": a.at.state(), "POPUP_INSTANCE": a.memory.get().Instance,
	})
	if port != "" {
		env["PORT"], env["HOST"] = port, "127.0.0.1"
	}
	switch {
	case r.manifest.Data == nil:
	case r.followsData():
		if r.root != "" { // a build has none, and there may be no data yet
			env["DATA_DIR"] = a.livingData(r.manifest)
		}
	case r.Revision != "":
		env["DATA_DIR"] = a.dataPath(r.pair, r.manifest)
	}
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

// settings are the app's env: what the plan or the console gave, the manifest's defaults, and
// the secrets that were made here.
func (a *Appliance) settings(r *running) (map[string]string, error) {
	values, err := r.manifest.ResolveSettings(a.given(r.manifest))
	if err != nil {
		return nil, err
	}
	a.making.Lock() // the build and the data's check come side by side
	path := a.at.secrets()
	if a.trying {
		path = a.at.nextSecrets()
	}
	secrets, err := generatedSecrets(path, r.manifest.GeneratedSecrets())
	a.making.Unlock()
	if err != nil {
		return nil, err
	}
	for name, value := range secrets {
		if _, given := values[name]; !given {
			values[name] = value
		}
	}
	return values, nil
}

// script runs one of the manifest's scripts in the app's folder; an empty one is nothing.
func (a *Appliance) script(ctx context.Context, r *running, name, command string) error {
	if command == "" {
		return nil
	}
	env, err := a.environment(r, "")
	if err != nil {
		return err
	}
	if err := a.runScript(ctx, appSpec{name: name, dir: r.root, env: env, argv: shell(command)}); err != nil {
		return fmt.Errorf("run scripts.%s: %w", name, err)
	}
	return nil
}

// giveTree makes the app's user the owner of everything below dir, for a build. A
// running app is the same user, so nothing here goes by a path that it could bend:
// all of it is below an os.Root, and dir itself is closed until the end.
func (a *Appliance) giveTree(dir string) error {
	uid, gid := a.ids()
	if uid < 0 {
		return nil
	}
	return a.closed(dir, func(root *os.Root) error {
		return errors.Join(own(root, uid, gid), root.Lchown(".", uid, gid))
	})
}

// own makes somebody the owner of everything below root.
func own(root *os.Root, uid, gid int) error {
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		return root.Lchown(path, uid, gid)
	})
}

// closed runs fn on dir while only root may enter it.
func (a *Appliance) closed(dir string, fn func(*os.Root) error) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return errors.Join(root.Chmod(".", 0o700), fn(root))
}

// errForeignFile says that a build's result holds a file that is not the build's.
var errForeignFile = errors.New("the build linked in a file that is not its own")

// takeTree makes a built tree ours again. A hard link to somebody else's file
// would hand that file's permissions to whoever prepares the release next, so
// only what the app's user owns is taken.
func (a *Appliance) takeTree(dir string) error {
	if a.user == nil {
		return nil
	}
	return a.closed(dir, func(root *os.Root) error {
		if err := root.Lchown(".", 0, 0); err != nil {
			return err
		}
		return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == "." {
				return err
			}
			info, err := root.Lstat(path)
			if err != nil {
				return err
			}
			if !ownedBy(info, a.user.UID) {
				return fmt.Errorf("%s: %w", path, errForeignFile)
			}
			return root.Lchown(path, 0, 0)
		})
	})
}
