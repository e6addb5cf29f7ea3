// Package vaulttest asks of every vault what its contract says.
package vaulttest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popup/internal/archive"
)

// Options say what is asked, and of whom.
type Options struct {
	Open func(t *testing.T) archive.Vault // a new one, with nothing in it
	// Keeps says that the vault changes and removes nothing: it answers archive.ErrKept.
	Keeps bool
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Run asks everything that the contract says.
func Run(t *testing.T, opts Options) {
	open := opts.Open
	ctx := t.Context()
	t.Run("empty", func(t *testing.T) { Contains(t, open(t)) })
	t.Run("what is put can be got", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "b", strings.NewReader("second")))
		check(t, vault.Put(ctx, "a", strings.NewReader("first")))
		Contains(t, vault, "a first", "b second")
	})
	t.Run("put again", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("a long one")))
		check(t, vault.Put(ctx, "a", strings.NewReader("a long one")))
		Contains(t, vault, "a a long one")
		err := vault.Put(ctx, "a", strings.NewReader("short"))
		if opts.Keeps {
			if !errors.Is(err, archive.ErrKept) {
				t.Errorf("put another: %v", err)
			}
			Contains(t, vault, "a a long one")
			return
		}
		check(t, err)
		Contains(t, vault, "a short")
	})
	t.Run("a failed put changes nothing", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("before")))
		broken := errors.New("the app went away")
		for _, name := range []string{"a", "b"} {
			r := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, broken }))
			if err := vault.Put(ctx, name, r); !errors.Is(err, broken) {
				t.Errorf("put %s: %v", name, err)
			}
		}
		Contains(t, vault, "a before")
	})
	t.Run("a cancelled put changes nothing", func(t *testing.T) {
		vault := open(t)
		ctx, cancel := context.WithCancel(ctx)
		r := io.MultiReader(readerFunc(func(p []byte) (int, error) { cancel(); return copy(p, "half"), io.EOF }), strings.NewReader("more"))
		if err := vault.Put(ctx, "a", r); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
		Contains(t, vault)
	})
	t.Run("nothing is seen before it is whole", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "b", io.MultiReader(strings.NewReader("x"), readerFunc(func([]byte) (int, error) {
			Contains(t, vault)
			return 0, io.EOF
		}))))
		Contains(t, vault, "b x")
	})
	t.Run("not found", func(t *testing.T) {
		if _, err := open(t).Get(ctx, "a"); !errors.Is(err, archive.ErrNotFound) {
			t.Errorf("get: %v", err)
		}
	})
	t.Run("delete", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("x")))
		if opts.Keeps {
			if err := vault.Delete(ctx, "a"); !errors.Is(err, archive.ErrKept) {
				t.Errorf("delete: %v", err)
			}
			Contains(t, vault, "a x")
			return
		}
		check(t, vault.Delete(ctx, "a"))
		check(t, vault.Delete(ctx, "a"))
		Contains(t, vault)
	})
	t.Run("names", func(t *testing.T) {
		vault := open(t)
		for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../a", "/a", "-rf", "a\nb", "a b", "ä", strings.Repeat("a", 201)} {
			_, get := vault.Get(ctx, name)
			for verb, err := range map[string]error{"put": vault.Put(ctx, name, strings.NewReader("x")), "get": get, "delete": vault.Delete(ctx, name)} {
				if err == nil || !strings.Contains(err.Error(), "is not a name for a backup; use up to 200 letters") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s %q: %v", verb, name, err)
				}
			}
		}
		check(t, vault.Put(ctx, strings.Repeat("a", 200), strings.NewReader("")))
	})
	t.Run("a context that is over", func(t *testing.T) {
		vault := open(t)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, get := vault.Get(ctx, "a")
		_, list := vault.List(ctx)
		for verb, err := range map[string]error{"put": vault.Put(ctx, "a", strings.NewReader("x")), "get": get, "list": list, "delete": vault.Delete(ctx, "a")} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", verb, err)
			}
		}
	})
}

// Contains asserts what a vault holds, as "name contents".
func Contains(t testing.TB, vault archive.Vault, want ...string) {
	t.Helper()
	items, err := vault.List(t.Context())
	check(t, err)
	var got []string
	for _, item := range items {
		r, err := vault.Get(t.Context(), item.Name)
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, errors.Join(err, r.Close()))
		if item.Size != int64(len(content)) || time.Since(item.Modified).Abs() > time.Hour {
			t.Errorf("%+v has %d bytes", item, len(content))
		}
		got = append(got, item.Name+" "+string(content))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the vault holds: %s", diff)
	}
}
