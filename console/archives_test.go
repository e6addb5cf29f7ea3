package console

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
)

// withVault has a console keep archives in the folder that is returned.
func withVault(t testing.TB, dir *string) func(*Options) {
	return func(o *Options) { o.Archives, *dir = openArchives(t, ArchivesOptions{}) }
}

// backup is an archive of the machine's state.
func (m *machine) backup(t testing.TB, final bool, contents string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Manifest{App: "wall", Instance: m.id, Taken: m.c.now(), Final: final})
	if err == nil {
		err = w.Add(archive.Entry{Path: "bids", Kind: archive.KindFile, Mode: 0o600, Modified: aDay, Size: int64(len(contents))}, strings.NewReader(contents))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ask signs a request about an archive.
func (m *machine) ask(method, name string, body []byte) Signature {
	signed := wire.Signed{Method: method, Path: wire.PathVault + name, Instance: m.id, Body: body}
	return Signature{Instance: m.id, Value: signed.Sign(m.key)}
}

func (m *machine) put(t testing.TB, name string, body []byte) (wire.KeptArchive, error) {
	t.Helper()
	sum := sha256.Sum256(body)
	return m.c.PutArchive(t.Context(), Backup{Name: name, Size: int64(len(body)), Digest: wire.Digest(sum[:]), Body: bytes.NewReader(body)}, m.ask("PUT", name, body))
}

func (m *machine) mustPut(t testing.TB, name string, body []byte) wire.KeptArchive {
	t.Helper()
	kept, err := m.put(t, name, body)
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	return kept
}

func (m *machine) listed(t testing.TB) (names []string) {
	t.Helper()
	all, err := m.c.ListArchives(t.Context(), m.ask("GET", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all.Archives {
		names = append(names, a.Name)
	}
	return names
}

func TestInstanceKeepsArchives(t *testing.T) {
	var dir string
	c := newConsole(t, withKeys(t), withVault(t, &dir))
	_, machines := party(t, c, "fair", "otto", 2)
	m, other := machines[0].live(t), machines[1].live(t)
	daily := m.backup(t, false, "ten for the cake")
	first := m.mustPut(t, "1.tar.zst", daily)
	c.clock.advance(time.Minute)
	if again := m.mustPut(t, "1.tar.zst", daily); again != first || c.audited(t, "archive", "instance/"+m.id) != 1 {
		t.Errorf("the same again is %+v, it was %+v", again, first)
	}
	if i := stored[Instance](t, c, m.id); i.Archive != nil {
		t.Errorf("one that is not final lets it go: %+v", i.Archive)
	}
	a, file, err := c.GetArchive(t.Context(), "1.tar.zst", m.ask("GET", "1.tar.zst", nil))
	if err != nil || a.Size != int64(len(daily)) {
		t.Fatalf("%+v, %v", a, err)
	}
	got, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, daily) {
		t.Errorf("it gets %d bytes of %d back, %v", len(got), len(daily), err)
	}
	final := m.backup(t, true, "twenty for the cake")
	m.mustPut(t, "2.tar.zst", final)
	if i := stored[Instance](t, c, m.id); i.Archive == nil || i.Archive.Name != "2.tar.zst" || !i.Archive.Final || i.Archive.Verified != c.now() {
		t.Errorf("noted %+v", i.Archive)
	}
	if got := m.listed(t); !slices.Equal(got, []string{"1.tar.zst", "2.tar.zst"}) || other.listed(t) != nil {
		t.Errorf("it has %v, another %v", got, other.listed(t))
	}
	var conflict *ConflictError
	if _, err := m.put(t, "2.tar.zst", daily); !errors.As(err, &conflict) {
		t.Errorf("another under the same name: %v", err)
	}
	if _, _, err := c.GetArchive(t.Context(), "1.tar.zst", other.ask("GET", "1.tar.zst", nil)); !errors.Is(err, ErrNotFound) {
		t.Errorf("another gets it: %v", err)
	}
}

func TestOldArchivesArePruned(t *testing.T) {
	var dir string
	c := newConsole(t, withKeys(t), withVault(t, &dir))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	m.mustPut(t, "a-final", m.backup(t, true, "all"))
	for _, name := range strings.Fields("b c d e f g h i j") {
		c.clock.advance(time.Hour)
		m.mustPut(t, name, m.backup(t, false, name))
	}
	if got := m.listed(t); !slices.Equal(got, strings.Fields("a-final d e f g h i j")) {
		t.Errorf("kept %v", got)
	}
	if files := inFolder(t, dir); len(files) != archivesKept+1 {
		t.Errorf("the vault has %v", files)
	}
	if err := c.removeArchives(t.Context(), m.id); err != nil || len(inFolder(t, dir)) != 0 || m.listed(t) != nil {
		t.Errorf("purged: %v, %v", inFolder(t, dir), err)
	}
}

func TestPutArchiveRefuses(t *testing.T) {
	var dir string
	c := newConsole(t, withKeys(t), withVault(t, &dir))
	_, machines := party(t, c, "fair", "otto", 2)
	m, other := machines[0].live(t), machines[1].live(t)
	good := m.backup(t, true, "ten")
	sum := sha256.Sum256(good)
	backup := func(name string) Backup {
		return Backup{Name: name, Size: int64(len(good)), Digest: wire.Digest(sum[:]), Body: bytes.NewReader(good)}
	}
	var input *InputError
	for name, err := range map[string]error{
		"a path":        second(c.PutArchive(t.Context(), backup("../x"), m.ask("PUT", "../x", good))),
		"no digest":     second(c.PutArchive(t.Context(), Backup{Name: "x", Size: 1, Body: bytes.NewReader(good)}, m.ask("PUT", "x", good))),
		"no archive":    second(m.put(t, "x", []byte("hello"))),
		"of another":    second(other.put(t, "x", good)),
		"not as signed": second(c.PutArchive(t.Context(), Backup{Name: "x", Size: 3, Digest: wire.Digest(sum[:]), Body: strings.NewReader("abc")}, m.ask("PUT", "x", good))),
	} {
		if !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]Signature{"another's signature": other.ask("PUT", "x", good), "of another name": m.ask("PUT", "y", good), "of another method": m.ask("GET", "x", good), "of other bytes": m.ask("PUT", "x", nil)} {
		if s.Instance = m.id; !errors.Is(second(c.PutArchive(t.Context(), backup("x"), s)), ErrForbidden) {
			t.Errorf("%s was taken", name)
		}
	}
	if files := inFolder(t, dir); len(files) != 0 || m.listed(t) != nil {
		t.Errorf("kept %v, %v", files, m.listed(t))
	}
	bare := newConsole(t, withKeys(t))
	_, machines = party(t, bare, "fair", "otto", 1)
	var conflict *ConflictError
	if _, err := machines[0].live(t).put(t, "x", good); !errors.As(err, &conflict) {
		t.Errorf("without a vault: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestPeopleFetchArchives(t *testing.T) {
	var dir string
	c := newConsole(t, withKeys(t), withVault(t, &dir))
	e, machines := party(t, c, "fair", "otto", 2)
	bodies := map[string][]byte{}
	for _, m := range machines {
		m.live(t)
		bodies[m.id+"/end.tar.zst"] = m.backup(t, true, m.id)
		m.mustPut(t, "end.tar.zst", bodies[m.id+"/end.tar.zst"])
	}
	helper := Actor{Kind: ActorLink, ID: "l", Role: RoleHelper, Event: e.ID}
	for name, try := range map[string]struct {
		a    Actor
		want error
	}{"nobody": {aStranger, ErrSignIn}, "a viewer": {aViewer, ErrForbidden}, "a helper": {helper, ErrForbidden}, "another organiser": {Actor{Kind: ActorPerson, ID: "oda", Role: RoleOrganiser}, ErrNotFound}} {
		_, listed := c.Archives(t.Context(), try.a, e.ID)
		_, _, opened := c.OpenArchive(t.Context(), try.a, machines[0].id, "end.tar.zst")
		_, all := c.OpenEventArchive(t.Context(), try.a, e.ID)
		if !errors.Is(listed, try.want) || !errors.Is(opened, try.want) || !errors.Is(all, try.want) {
			t.Errorf("%s: %v, %v, %v", name, listed, opened, all)
		}
	}
	all, err := c.Archives(t.Context(), anOrganiser, e.ID)
	if err != nil || len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	_, file, err := c.OpenArchive(t.Context(), anOrganiser, machines[0].id, "end.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, bodies[machines[0].id+"/end.tar.zst"]) || c.audited(t, "fetch archive", "instance/"+machines[0].id) != 1 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	offer, err := c.OpenEventArchive(t.Context(), anOrganiser, e.ID)
	if err != nil || offer.Name != "fair.zip" {
		t.Fatalf("%+v, %v", offer, err)
	}
	var out bytes.Buffer
	if err := offer.Write(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("the file is %+v, %v", z, err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bodies[f.Name]) {
			t.Errorf("%s has %d bytes, %v", f.Name, len(got), err)
		}
	}

	// The vault's disk loses a bit.
	path := filepath.Join(dir, machines[1].id+".end.tar.zst")
	body := bytes.Clone(bodies[machines[1].id+"/end.tar.zst"])
	body[len(body)/2] ^= 1
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := offer.Write(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "no longer what was verified") {
		t.Errorf("a damaged archive was handed out: %v", err)
	}
	party(t, c, "ball", "otto", 1)
	if _, err := c.OpenEventArchive(t.Context(), anOrganiser, "ball"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of an event without any: %v", err)
	}
}
