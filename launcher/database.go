package launcher

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"popup/internal/process"
	"popup/internal/sandbox"
	"popup/launcher/backup"
)

// databases copies the app's databases for a backup; nil: this popup cannot.
func (a *Appliance) databases() backup.CopyDatabase {
	if len(a.opts.CopyDatabase) == 0 {
		return nil
	}
	return a.copyDatabase
}

// copyDatabase starts a program that copies the database at name, a path below the state.
// It has the rights of the app, whose file it is, and no more: what the app made of that
// file, it made for a program like itself.
func (a *Appliance) copyDatabase(ctx context.Context, name string, use func(size int64, content io.Reader) error) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // it is only read
	copier, err := a.startCopier(ctx, name, to)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	ended := context.AfterFunc(ctx, func() { _ = copier.Stop(ctx) }) // what it leaves is logged below
	defer func() {
		ended()
		if err := copier.Stop(ctx); err != nil {
			a.log.Error("end the copy of a database", "err", err)
		}
	}()
	var size [8]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		<-copier.Done()
		if said := strings.TrimSpace(copier.Tail()); said != "" {
			return errors.New(said)
		}
		return fmt.Errorf("copy it: %w", cmp.Or(ctx.Err(), copier.Err(), err))
	}
	most := binary.BigEndian.Uint64(size[:])
	if most > maxDatabase {
		return fmt.Errorf("copy it: its copy is said to have %d bytes", most)
	}
	return use(int64(most), from)
}

// maxDatabase is the most bytes that a copy may be said to have: so many are written,
// with zeros for what does not come.
const maxDatabase = 1 << 40

func (a *Appliance) startCopier(ctx context.Context, name string, to *os.File) (*process.Process, error) {
	app := appSpec{name: "copy-database", env: []string{"TMPDIR=" + a.at.temp()}}
	confined := a.landlock(app)
	if self, err := os.Executable(); confined != nil && err == nil {
		confined.Execute = append(confined.Execute, self)
	}
	argv := slices.Concat(a.opts.CopyDatabase, []string{filepath.Join(a.at.state(), name)})
	argv, err := sandbox.Policy{User: a.user, Landlock: confined}.Command(argv)
	if err != nil {
		return nil, err
	}
	return process.Start(ctx, process.Spec{Name: app.name, Argv: argv, Env: app.env, RunDir: a.at.records(), ExtraFiles: []*os.File{to}})
}
