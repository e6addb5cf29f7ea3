package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func testCache(t *testing.T) imageCache {
	t.Helper()
	cache, err := openImageCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func buildMark(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "mark"), nil, 0o644)
}

func TestImageIsBuiltOnce(t *testing.T) {
	cache := testCache(t)
	var builds atomic.Int32
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			image, err := cache.image(t.Context(), "one", func(ctx context.Context, dir string) error {
				builds.Add(1)
				return buildMark(ctx, dir)
			})
			if err != nil {
				t.Error(err)
				return
			}
			_, err = os.Stat(filepath.Join(image.dir, "mark"))
			noError(t, errors.Join(err, image.Close()))
		})
	}
	group.Wait()
	if builds.Load() != 1 {
		t.Errorf("five asked at once and the image was built %d times", builds.Load())
	}
}

func TestHalfBuiltImageIsNeverUsed(t *testing.T) {
	cache := testCache(t)
	// What a build that was killed leaves.
	if err := os.MkdirAll(filepath.Join(cache.dir, tmpPrefix+"1", "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the mirror is away")
	_, err := cache.image(t.Context(), "one", func(ctx context.Context, dir string) error {
		return errors.Join(buildMark(ctx, dir), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	entries, err := os.ReadDir(cache.dir)
	noError(t, err)
	for _, entry := range entries {
		if entry.Name() != lockName {
			t.Errorf("%s was left by a build that failed", entry.Name())
		}
	}
}

func TestImageWaitsNoLongerThanItMay(t *testing.T) {
	cache := testCache(t)
	ctx, cancel := context.WithCancel(t.Context())
	image, err := cache.image(ctx, "one", func(context.Context, string) error {
		cancel()
		other, err := cache.image(ctx, "two", buildMark)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("while another builds and nobody waits: %v, %v", other, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	noError(t, image.Close())
}

func TestImageIsThereWhileAnotherIsBuilt(t *testing.T) {
	cache := testCache(t)
	build := func(_ context.Context, dir string) error { return os.Mkdir(filepath.Join(dir, "root"), 0o755) }
	first, err := cache.image(t.Context(), "one", build)
	if err != nil {
		t.Fatal(err)
	}
	noError(t, first.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	other, err := cache.image(ctx, "two", func(context.Context, string) error {
		again, err := cache.image(ctx, "one", func(context.Context, string) error { return errors.New("it was built again") })
		if err != nil {
			return err
		}
		return again.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	noError(t, other.Close())
}

func TestOldImagesAreRemovedUnlessInUse(t *testing.T) {
	cache := testCache(t)
	held, err := cache.image(t.Context(), "held", buildMark)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(held.dir, old, old); err != nil {
		t.Fatal(err)
	}
	for i := range keptImages + 1 {
		image, err := cache.image(t.Context(), fmt.Sprint("image", i), buildMark)
		if err != nil {
			t.Fatal(err)
		}
		noError(t, image.Close())
		used := old.Add(time.Duration(i+1) * time.Minute)
		noError(t, os.Chtimes(image.dir, used, used))
	}
	if _, err := os.Stat(held.dir); err != nil {
		t.Errorf("an image in use is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache.dir, "image0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the image used longest ago is still there (%v): a cache keeps %d", err, keptImages)
	}
	noError(t, held.Close())
	image, err := cache.image(t.Context(), "image3", buildMark)
	if err != nil {
		t.Fatal(err)
	}
	noError(t, image.Close())
	if _, err := os.Stat(held.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an image nobody holds any more is still there: %v", err)
	}
}

// A machine that is down needs its image all the same: without it, what it wrote is lost.
func TestImageOfAMachineStays(t *testing.T) {
	cache, machine := testCache(t), t.TempDir()
	link := filepath.Join(machine, "image")
	first, err := cache.image(t.Context(), "first", buildMark)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // at each of its starts
		noError(t, first.KeepFor(link))
	}
	noError(t, errors.Join(os.Symlink(first.dir, link), first.Close()))
	others := 0
	makeOthers := func() {
		t.Helper()
		old := time.Now().Add(-time.Hour)
		noError(t, os.Chtimes(first.dir, old, old))
		for range keptImages {
			others++
			image, err := cache.image(t.Context(), fmt.Sprint("other", others), buildMark)
			if err != nil {
				t.Fatal(err)
			}
			noError(t, image.Close())
		}
	}
	makeOthers()
	if _, err := os.Stat(first.dir); err != nil {
		t.Fatalf("the image of a machine that is down is gone: %v", err)
	}
	noError(t, os.Remove(link)) // with the machine
	makeOthers()
	if _, err := os.Stat(first.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the image of a machine that is gone is still there: %v", err)
	}
}
