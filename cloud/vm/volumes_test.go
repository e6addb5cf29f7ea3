package vm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popup/console"
)

// volume asks for the volume of a deployment.
func (s *site) volume(deployment string, size int64, snapshot string) (console.Volume, error) {
	s.T.Helper()
	return s.MakeVolume(s.T.Context(), console.VolumeAsk{Launch: console.Launch{Instance: "one", EventID: "e1", Deployment: deployment, App: "toy", VolumeSize: size}, Snapshot: snapshot})
}

func (s *site) ids(event string) (ids []string) {
	s.T.Helper()
	things, err := s.Held(s.T.Context(), event)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, thing := range things {
		ids = append(ids, string(thing.Kind)+" "+thing.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestVolumeIsMadeOnce(t *testing.T) {
	s := open(t)
	first, err := s.volume("d1", 10<<20+1, "")
	if err != nil {
		t.Fatal(err)
	}
	path := s.kind.volumes.shelf().path(first.ID)
	if info, err := os.Stat(path); err != nil || info.Size() != 11<<20 || info.Mode() != 0o600 {
		t.Errorf("it is %v, %v", info, err)
	}
	if err := os.WriteFile(path, []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.close()
	s.open()
	again, err := s.volume("d1", 1<<20, "")
	text, readErr := os.ReadFile(path)
	if err != nil || readErr != nil || again != first || string(text) != "state" {
		t.Errorf("made again it is %+v with %q, %v, %v", again, text, err, readErr)
	}
	if other, err := s.volume("d2", 1<<20, ""); err != nil || other.ID == first.ID || len(other.ID) > 20 {
		t.Errorf("another is %+v, %v", other, err)
	}
	if got := s.ids("e1"); len(got) != 2 || !slices.Contains(got, "volume "+first.ID) || len(s.ids("e2")) > 0 {
		t.Errorf("held are %q", got)
	}
	for range 2 {
		if err := s.Remove(t.Context(), console.Thing{Kind: console.ThingVolume, ID: first.ID}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); err == nil || len(s.ids("e1")) != 1 {
		t.Errorf("it is left: %q", s.ids("e1"))
	}
}

func TestVolumeThatCannotBeMade(t *testing.T) {
	s := open(t)
	for want, ask := range map[string]console.VolumeAsk{
		"has 0 bytes":         {},
		"or ask for less":     {Launch: console.Launch{VolumeSize: 1 << 60}},
		"begin with another":  {Launch: console.Launch{VolumeSize: 1}, Snapshot: "snap-0123456789abcdef"},
		"snapshot ../machine": {Launch: console.Launch{VolumeSize: 1}, Snapshot: "../machine"},
	} {
		ask.Deployment = "d1"
		if v, err := s.MakeVolume(t.Context(), ask); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("made %+v, %v; want %q", v, err, want)
		}
	}
	full := errors.New("no space left")
	if err := s.kind.volumes.shelf().add(disk{ID: "vol-0123456789abcdef"}, func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), full)
	}); !errors.Is(err, full) {
		t.Errorf("half a volume: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.opts.Dir, ".volumes")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// What a kill left of a volume that was being made, or removed, is swept.
func TestHalfVolumesAreSwept(t *testing.T) {
	s := open(t)
	v, err := s.volume("d1", 1<<20, "")
	if err != nil {
		t.Fatal(err)
	}
	shelf := s.kind.volumes.shelf()
	for _, name := range []string{"vol-0000000000000000" + halfSuffix, "vol-1111111111111111"} {
		if err := os.WriteFile(shelf.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	s.open()
	entries, err := os.ReadDir(string(shelf))
	if err != nil || len(entries) != 2 || entries[0].Name() != v.ID || entries[1].Name() != v.ID+recordSuffix {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func TestRemoveRefuses(t *testing.T) {
	s := open(t)
	for _, thing := range []console.Thing{{Kind: console.ThingMachine, ID: "i-0123456789abcdef0"}, {Kind: "ship", ID: "x"}} {
		if err := s.Remove(t.Context(), thing); err == nil || !strings.Contains(err.Error(), "removed by itself") {
			t.Errorf("%+v: %v", thing, err)
		}
	}
	for _, id := range []string{"../../x", "", "vol-0123456789abcdef"} { // what is not there is gone
		if err := s.Remove(t.Context(), console.Thing{Kind: console.ThingVolume, ID: id}); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}
