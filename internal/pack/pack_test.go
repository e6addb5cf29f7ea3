package pack_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"popup/internal/pack"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// pipe runs git with something on its standard input, and returns what it prints.
func pipe(t testing.TB, r *testutil.GitRepo, input string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = r.Dir, testutil.GitEnv(), strings.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// noise are bytes that do not compress.
func noise(seed uint64, n int) []byte {
	from, out := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}), make([]byte, n)
	_, _ = from.Read(out) // it never fails
	return out
}

// history is a repository of two commits, with files small and large, like and unlike.
func history(t testing.TB) (r *testutil.GitRepo, first, second string) {
	r = testutil.NewRepo(t)
	big := noise(1, 3<<20)
	for n := range 40 {
		r.Write(fmt.Sprintf("d%d/f%d", n%4, n), fmt.Appendf(nil, "%s\n%d\n", strings.Repeat("a line that is the same\n", 50), n), 0o644)
	}
	r.Write("big", big, 0o644)
	r.Write("zeros", make([]byte, 2<<20), 0o755)
	first = r.CommitAll()
	copy(big[1<<20:], "changed")
	r.Write("big", big, 0o644)
	r.Write("d1/f1", []byte(strings.Repeat("a line that is the same\n", 50)+"changed"), 0o644)
	r.Write("empty", nil, 0o644)
	return r, first, r.CommitAll()
}

// held are the objects that git says lead from commits, with what they hold.
func held(t testing.TB, r *testutil.GitRepo, revs string) map[tree.ID]item {
	t.Helper()
	kinds := map[string]pack.Kind{"commit": pack.Commit, "tree": pack.Tree, "blob": pack.Blob, "tag": pack.Tag}
	names := pipe(t, r, revs, "rev-list", "--objects", "--no-object-names", "--stdin")
	all := bytes.NewBuffer(pipe(t, r, string(names), "cat-file", "--batch"))
	found := map[tree.ID]item{}
	for all.Len() > 0 {
		var name, kind string
		var size int
		if _, err := fmt.Fscanf(all, "%s %s %d\n", &name, &kind, &size); err != nil {
			t.Fatal(err)
		}
		id, err := tree.ParseID(name)
		if err != nil {
			t.Fatal(err)
		}
		found[id] = item{kinds[kind], bytes.Clone(all.Next(size))}
		all.Next(1) // the end of the line
	}
	return found
}

func TestPacksOfGit(t *testing.T) {
	r, first, second := history(t)
	r.Git("config", "core.bigFileThreshold", "100m") // so that large files come as deltas, too
	for name, c := range map[string]struct {
		revs, base string
		args       []string
	}{
		"whole, by offset": {second + "\n", "", []string{"--delta-base-offset"}},
		"whole, by id":     {second + "\n", "", nil},
		"whole, no deltas": {second + "\n", "", []string{"--window=0"}},
		"thin, by offset":  {second + "\n^" + first + "\n", first, []string{"--thin", "--delta-base-offset"}},
		"thin, by id":      {second + "\n^" + first + "\n", first, []string{"--thin"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"pack-objects", "--revs", "--stdout", "-q", "--no-reuse-delta"}, c.args...)
			sent := pipe(t, r, c.revs, args...)
			s := newShelf(t)
			if c.base != "" {
				s.here = held(t, r, c.base+"\n")
			}
			if err := pack.Read(t.Context(), iotest.HalfReader(bytes.NewReader(sent)), tree.Limits{}, s); err != nil {
				t.Fatal(err)
			}
			want := held(t, r, c.revs)
			if len(want) != len(s.has) || len(want) != len(s.order) {
				t.Errorf("%d objects came, %d of them once; want %d", len(s.order), len(s.has), len(want))
			}
			for id, o := range want {
				if got := s.has[id]; got.kind != o.kind || !bytes.Equal(got.content, o.content) {
					t.Errorf("%s came as a %s of %d bytes; want a %s of %d", id, got.kind, len(got.content), o.kind, len(o.content))
				}
			}
			if s.opened != 0 {
				t.Errorf("%d bases were left open", s.opened)
			}
		})
	}
}

// A base may come after what is made from it, and that may be a base as well.
func TestBasesThatComeLater(t *testing.T) {
	a, ab, abc := "a", "ab", "abc"
	for name, sent := range map[string][]byte{
		"by id": build(func(b *builder) {
			b.named(idOf("blob", []byte(ab)), add(ab, "c"))
			b.named(idOf("blob", []byte(a)), add(a, "b"))
			b.blob(a)
		}),
		"by offset": build(func(b *builder) {
			at := b.named(idOf("blob", []byte(a)), add(a, "b"))
			b.back(12+b.Len()-at, add(ab, "c"))
			b.blob(a)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			if err := pack.Read(t.Context(), bytes.NewReader(sent), tree.Limits{}, s); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{a, ab, abc} {
				if got := s.has[idOf("blob", []byte(text))]; string(got.content) != text {
					t.Errorf("%q came as %q", text, got.content)
				}
			}
		})
	}
}

// A chain of any length is no matter: each link is made when it comes.
func TestLongChain(t *testing.T) {
	const links = 5000
	var sent, late builder
	text := func(n int) string { return fmt.Sprintf("%08d", n) }
	replace := func(n int) []byte { return append([]byte{8, 8, 8}, text(n)...) }
	sent.blob(text(0))
	for n := range links {
		sent.named(idOf("blob", []byte(text(n))), replace(n+1))
	}
	for n := links; n > 0; n-- {
		late.named(idOf("blob", []byte(text(n-1))), replace(n))
	}
	late.blob(text(0))
	for name, p := range map[string][]byte{"in order": sent.pack(), "backwards": late.pack()} {
		s := newShelf(t)
		if err := pack.Read(t.Context(), bytes.NewReader(p), tree.Limits{}, s); err != nil || len(s.has) != links+1 {
			t.Errorf("%s: %d objects, %v", name, len(s.has), err)
		}
	}
}

func TestDamagedPacks(t *testing.T) {
	good := build(func(b *builder) { b.blob("hello"); b.blob("world") })
	flip := func(at int) []byte {
		bad := slices.Clone(good)
		bad[at] ^= 1
		return bad
	}
	none := idOf("blob", []byte("nowhere"))
	for name, c := range map[string]struct {
		pack []byte
		want string
	}{
		"empty":        {nil, "ends before its end"},
		"a page":       {[]byte("<html>no such repository</html>"), "does not begin as one"},
		"version":      {flip(7), "version 3"},
		"cut":          {good[:len(good)-30], "ends before its end"},
		"sum cut":      {good[:len(good)-1], "ends before its end"},
		"more":         {append(slices.Clone(good), 0), "more after its end"},
		"sum":          {flip(len(good) - 1), "its checksum is another"},
		"content":      {flip(16), ""},
		"count higher": {flip(11), ""},
		"type 0":       {build(func(b *builder) { b.object(0, 1, nil, []byte("x")) }), "has the type 0"},
		"type 5":       {build(func(b *builder) { b.object(5, 1, nil, []byte("x")) }), "has the type 5"},
		"short":        {build(func(b *builder) { b.object(3, 9, nil, []byte("x")) }), "shorter than it says"},
		"long":         {build(func(b *builder) { b.object(3, 1, nil, []byte("xyz")) }), "longer than it says"},
		"long nothing": {build(func(b *builder) { b.object(3, 0, nil, []byte("xyz")) }), "longer than it says"},
		"big short":    {build(func(b *builder) { b.object(3, 2<<20, nil, []byte("x")) }), "shorter than it says"},
		"big long":     {build(func(b *builder) { b.object(3, 2<<20, nil, make([]byte, 2<<20+1)) }), "longer than it says"},
		"tree short":   {build(func(b *builder) { b.object(2, 2<<20, nil, []byte("x")) }), "shorter than it says"},
		"not zlib":     {append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x31"), make([]byte, 60)...), "does not unpack"},
		"no base":      {build(func(b *builder) { b.named(none, add("x", "y")) }), "1 objects in it are changes to others that the server left out"},
		"itself":       {build(func(b *builder) { b.back(0, add("x", "y")) }), "begins where none does"},
		"before":       {build(func(b *builder) { b.blob("x"); b.back(100, add("x", "y")) }), "begins where none does"},
		"no end": {append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 40)...),
			"past all numbers"},
		"far": {append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x61"), bytes.Repeat([]byte{0xff}, 40)...),
			"before the beginning"},
	} {
		t.Run(name, func(t *testing.T) {
			err := pack.Read(t.Context(), bytes.NewReader(c.pack), tree.Limits{}, newShelf(t))
			var bad *pack.CorruptError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

func TestDamagedDeltas(t *testing.T) {
	for name, c := range map[string]struct {
		delta []byte
		want  string
	}{
		"empty":             {nil, "ends before its end"},
		"size of base":      {[]byte{4, 1, 1, 'x'}, "made from one of 4 bytes, which has 5"},
		"instruction 0":     {[]byte{5, 1, 0}, "an instruction that there is not"},
		"insert cut":        {[]byte{5, 9, 9, 'x'}, "ends within an instruction"},
		"copy cut":          {[]byte{5, 5, 0x91, 0}, "ends within an instruction"},
		"copy out of range": {[]byte{5, 3, 0x91, 3, 3}, "bytes that another does not have"},
		"copy 64 KiB":       {[]byte{5, 5, 0x80}, "bytes that another does not have"},
		"longer":            {[]byte{5, 1, 2, 'x', 'y'}, "longer than it says"},
		"longer by copying": {[]byte{5, 1, 0x90, 5}, "longer than it says"},
		"shorter":           {[]byte{5, 9, 0x90, 5}, "shorter than it says"},
		"huge number":       {append([]byte{5}, bytes.Repeat([]byte{0xff}, 12)...), "past all numbers"},
	} {
		t.Run(name, func(t *testing.T) {
			sent := build(func(b *builder) { b.blob("hello"); b.named(idOf("blob", []byte("hello")), c.delta) })
			err := pack.Read(t.Context(), bytes.NewReader(sent), tree.Limits{}, newShelf(t))
			var bad *pack.CorruptError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// What a pack unpacks to is refused for what it says, before there is any of it.
func TestBombs(t *testing.T) {
	huge := []byte{5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08} // from 5 bytes, to 2^38
	many := build(func(b *builder) { b.blob("x") })
	binary.BigEndian.PutUint32(many[8:], 1<<31)
	for name, sent := range map[string][]byte{
		"blob":  build(func(b *builder) { b.object(3, 1<<40, nil, []byte("x")) }),
		"tree":  build(func(b *builder) { b.object(2, 1<<40, nil, []byte("x")) }),
		"delta": build(func(b *builder) { b.blob("hello"); b.named(idOf("blob", []byte("hello")), huge) }),
		"delta that waits": build(func(b *builder) {
			b.object(7, 1<<40, make([]byte, 20), nil)
		}),
		"count":    many,
		"together": build(func(b *builder) { b.blob(strings.Repeat("x", 1<<19)); b.blob(strings.Repeat("y", 1<<19+1)) }),
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			var limit *tree.LimitError
			if err := pack.Read(t.Context(), bytes.NewReader(sent), tree.Limits{Bytes: 1 << 20, Files: 100}, s); !errors.As(err, &limit) {
				t.Errorf("got %v; want a limit", err)
			}
			if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
				t.Errorf("it wrote %v, %v", left, err)
			}
		})
	}
}

// Whose fault an error is, it says: the sender's, the network's, the disk's or the caller's.
func TestCauses(t *testing.T) {
	sent := build(func(b *builder) { b.blob("hello"); b.blob("world") })
	down := fmt.Errorf("the line is down: %w", io.ErrUnexpectedEOF)
	s := newShelf(t)
	if err := pack.Read(t.Context(), io.MultiReader(bytes.NewReader(sent[:25]), iotest.ErrReader(down)), tree.Limits{}, s); !errors.Is(err, down) {
		t.Errorf("got %v; want %v", err, down)
	}
	full := errors.New("the disk is full")
	s.refuse = full
	if err := pack.Read(t.Context(), bytes.NewReader(sent), tree.Limits{}, s); !errors.Is(err, full) {
		t.Errorf("got %v; want %v", err, full)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pack.Read(ctx, bytes.NewReader(sent), tree.Limits{}, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want %v", err, context.Canceled)
	}
}

func FuzzRead(f *testing.F) {
	r := testutil.NewRepo(f)
	text := strings.Repeat("a line that is the same\n", 20)
	first := r.Commit(map[string]string{"a": text, "b/c": text + "c", "d": "d"})
	here := held(f, r, first+"\n")
	second := r.Commit(map[string]string{"a": text + "changed", "b/c": text + "changed, too", "e": ""})
	for _, args := range [][]string{{"--thin", "--delta-base-offset"}, {"--thin"}, {}} {
		f.Add(pipe(f, r, second+"\n^"+first+"\n", append([]string{"pack-objects", "--revs", "--stdout", "-q"}, args...)...))
	}
	f.Add(build(func(b *builder) { b.named(idOf("blob", []byte("a")), add("a", "b")); b.blob("a") }))
	f.Add(build(func(b *builder) { b.object(3, 1<<20+1, nil, make([]byte, 1<<20+1)) }))
	f.Add([]byte("PACK"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := newShelf(t)
		s.here = here
		err := pack.Read(t.Context(), bytes.NewReader(sent), tree.Limits{Bytes: 8 << 20, Files: 1000}, s)
		var bad *pack.CorruptError
		var limit *tree.LimitError
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &limit) {
			t.Errorf("it is neither damaged nor too large: %v", err)
		}
		if err == nil && binary.BigEndian.Uint32(sent[8:]) != uint32(len(s.order)) {
			t.Errorf("%d objects came; want as many as it says", len(s.order))
		}
		if s.opened != 0 {
			t.Errorf("%d bases were left open", s.opened)
		}
	})
}

// BenchmarkRead is what reading costs without writing anything.
func BenchmarkRead(b *testing.B) {
	r := testutil.NewRepo(b)
	for n := range 2000 {
		r.Write(fmt.Sprintf("d%d/f%d", n%40, n), noise(uint64(n), 1000), 0o644)
	}
	sent := pipe(b, r, r.CommitAll()+"\n", "pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset")
	b.SetBytes(int64(len(sent)))
	b.ReportAllocs()
	for b.Loop() {
		if err := pack.Read(b.Context(), bytes.NewReader(sent), tree.Limits{}, discard{}); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Object(pack.Kind, tree.ID, []byte) error { return nil }
func (discard) Blob(tree.ID, string, int64) error       { return nil }
func (discard) Base(tree.ID) (pack.Base, error)         { return pack.Base{}, pack.ErrUnknown }
func (discard) Temp() (*os.File, string, error) {
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	return f, filepath.Base(os.DevNull), err
}
