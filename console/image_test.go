package console

import (
	"slices"
	"strings"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

func imageTestDeployment() Deployment {
	return Deployment{App: "board", Plan: wire.Plan{Manifest: apps.Manifest{ID: "board", BuildCommand: "make"}, Service: wire.Source{URL: "https://example.org/board.git"}}}
}

// TestImageFor takes the newest that has what is needed on it, and no other.
func TestImageFor(t *testing.T) {
	d := imageTestDeployment()
	tags := map[string]string{tagImageOf: imageOf(d), tagImageVersion: "1", tagImageRelease: "aa"}
	of := func(id string, age time.Duration, change ...string) Image {
		i := Image{ID: id, Ready: true, Baked: aDay.Add(-age), Tags: map[string]string{}}
		for tag, is := range tags {
			i.Tags[tag] = is
		}
		for k := 0; k < len(change); k += 2 {
			i.Tags[change[k]] = change[k+1]
		}
		return i
	}
	made := of("made", 0)
	made.Ready = false
	for name, c := range map[string]struct {
		images []Image
		change func(*Deployment)
		want   string
	}{
		"none":               {nil, nil, ""},
		"the newest":         {[]Image{of("old", 3*time.Hour), of("new", time.Hour), of("older", 9*time.Hour)}, nil, "new"},
		"another app":        {[]Image{of("a", time.Hour, tagImageOf, "x")}, nil, ""},
		"another version":    {[]Image{of("a", time.Hour, tagImageVersion, "2")}, nil, ""},
		"not there yet":      {[]Image{of("a", time.Hour), made}, nil, "a"},
		"too old":            {[]Image{of("a", 31*24*time.Hour)}, nil, ""},
		"another branch":     {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.Service.Ref = "next" }, ""},
		"another build":      {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.Manifest.BuildCommand = "make all" }, ""},
		"who must sign":      {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.Service.Verify = &wire.Verify{} }, ""},
		"data":               {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.Data = &wire.Source{URL: "https://example.org/d.git"} }, ""},
		"how long it lives":  {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.Manifest.Lifetime.MaxTTL = 1 }, "a"},
		"where its state is": {[]Image{of("a", time.Hour)}, func(d *Deployment) { d.Plan.State.Vault = wire.VaultConsole }, "a"},
	} {
		d := imageTestDeployment()
		if c.change != nil {
			c.change(&d)
		}
		is := ""
		if from := imageFor(c.images, d, "1", aDay.Add(-defaultKeepImages)); from != nil {
			if is = from.ID; from.Release != "aa" {
				t.Errorf("%s: it is at %q", name, from.Release)
			}
		}
		checkState(t, name, is, c.want)
	}
}

// TestImageForSettings: what is built with settings that were given is another.
func TestImageForSettings(t *testing.T) {
	for _, c := range []struct {
		build string
		given map[string]string
		want  bool
	}{{"make", nil, true}, {"make", map[string]string{"TITLE": "x"}, false}, {"", map[string]string{"TITLE": "x"}, true}} {
		d := imageTestDeployment()
		d.Plan.Manifest.BuildCommand, d.Plan.Manifest.Env = c.build, map[string]apps.EnvVar{"TITLE": {}}
		image := Image{ID: "a", Ready: true, Baked: aDay, Tags: map[string]string{tagImageOf: imageOf(d), tagImageVersion: "1"}}
		d.Settings = c.given
		if is := imageFor([]Image{image}, d, "1", aDay) != nil; is != c.want {
			t.Errorf("%+v: it starts from an image: %v", c, is)
		}
	}
}

func TestExpired(t *testing.T) {
	of := func(id, app string, age time.Duration, ready bool) Image {
		return Image{ID: id, Ready: ready, Baked: aDay.Add(-age), Tags: map[string]string{tagImageApp: app}}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		images []Image
		used   string
		want   []string
	}{
		"one":                     {[]Image{of("a", "x", day, true)}, "", nil},
		"replaced":                {[]Image{of("a", "x", day, true), of("b", "x", time.Hour, true)}, "", []string{"a"}},
		"replaced, and in use":    {[]Image{of("a", "x", day, true), of("b", "x", time.Hour, true)}, "a", nil},
		"of another app":          {[]Image{of("a", "x", day, true), of("b", "y", time.Hour, true)}, "", nil},
		"the new one is not made": {[]Image{of("a", "x", day, true), of("b", "x", time.Hour, false)}, "", nil},
		"old":                     {[]Image{of("a", "x", 31*day, true)}, "", []string{"a"}},
		"nothing became of it":    {[]Image{of("a", "", 2*day, false)}, "", []string{"a"}},
	} {
		if got := expired(c.images, map[string]bool{c.used: true}, defaultKeepImages, aDay); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// image puts an image of an app into a cloud.
func (f *bakingCloud) image(t *testing.T, l *living, id string, app apps.AppID) {
	t.Helper()
	p, err := l.prepareBake(t.Context(), anOwner, BakeRequest{App: app})
	if err != nil {
		t.Fatal(err)
	}
	f.change(func(*fakeCloud) {
		f.images = append(f.images, Image{ID: id, Ready: true, Baked: f.now(), Tags: l.imageTags(p.deployments[0])})
	})
}

// TestLaunchWithoutItsImage: where the image is gone, it is asked for once more without.
func TestLaunchWithoutItsImage(t *testing.T) {
	l, f := newBaking(t)
	f.image(t, l, "image-1", "notice")
	var asked []Launch
	l.cloud.asked = func(ask Launch) error {
		if asked = append(asked, ask); ask.Image != "" {
			return &RefusedError{Reason: "the image is not there any more"}
		}
		return nil
	}
	_, all := l.launched(t, fair(AppRequest{App: "notice"}))
	if len(asked) != 2 || asked[0].Image != "image-1" || asked[1].Image != "" || asked[1].Attempt != asked[0].Attempt+1 {
		t.Fatalf("asked %d times, first from %q and last from %q, attempt %d", len(asked), asked[0].Image, asked[len(asked)-1].Image, asked[len(asked)-1].Attempt)
	}
	if all[0].State != InstanceStarting || all[0].Failure != "" || all[0].Refusals != 0 {
		t.Errorf("it is %s, %q", all[0].State, all[0].Failure)
	}
}

// TestImagesExpire: what is replaced goes once nobody starts from it, what is old in any case.
func TestImagesExpire(t *testing.T) {
	l, f := newBaking(t)
	f.image(t, l, "image-1", "notice")
	l.clock.advance(time.Hour)
	full := true
	l.cloud.asked = func(Launch) error {
		if full {
			return &RefusedError{Reason: "there is no room here", Elsewhere: true}
		}
		return nil
	}
	if _, all := l.launched(t, fair(AppRequest{App: "notice"})); all[0].State != InstanceLaunching {
		t.Fatalf("it is %s", all[0].State)
	}
	f.image(t, l, "image-2", "notice")
	if err := l.ForgetImage(t.Context(), anOwner, "image-1"); err == nil || !strings.Contains(err.Error(), "a launch from image-1 is under way") {
		t.Errorf("forgotten while it is used: %v", err)
	}
	l.later(t, expireEvery)
	if got := f.baked(); !slices.Equal(got, []string{"image-1", "image-2"}) {
		t.Fatalf("while a launch starts from it: %v", got)
	}
	full = false
	l.later(t, longestPause)
	l.later(t, expireEvery)
	if got := f.baked(); !slices.Equal(got, []string{"image-2"}) {
		t.Errorf("replaced, left are %v", got)
	}
	all, err := l.Images(t.Context(), aViewer)
	if err != nil || len(all) != 1 || all[0].App != "notice" || !all[0].Expires.Equal(all[0].Baked.Add(defaultKeepImages)) {
		t.Errorf("listed are %+v, %v", all, err)
	}
	if err := l.ForgetImage(t.Context(), aViewer, "image-2"); err != ErrForbidden {
		t.Errorf("a viewer forgets: %v", err)
	}
	if err := l.ForgetImage(t.Context(), anOwner, "image-9"); err == nil {
		t.Error("what is not there is forgotten")
	}
	l.later(t, defaultKeepImages+time.Hour)
	if got := f.baked(); len(got) != 0 {
		t.Errorf("old, left are %v", got)
	}
}

// TestSooner: how much sooner those from an image were live.
func TestSooner(t *testing.T) {
	l, f := newBaking(t)
	up := func(took time.Duration) {
		_, all := l.launched(t, fair(AppRequest{App: "notice"}))
		l.clock.advance(took)
		l.reports(t, all[0].ID, live)
	}
	up(5 * time.Minute)
	up(3 * time.Minute)
	f.image(t, l, "image-1", "notice")
	up(time.Minute)
	if err := l.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := l.Images(t.Context(), anOwner)
	if err != nil || len(all) != 1 || all[0].Times != (BootTimes{time.Minute, 5 * time.Minute, 1, 2}) || all[0].Times.Sooner() != 4*time.Minute {
		t.Errorf("it is %+v, %v", all, err)
	}
	p, err := l.Preview(t.Context(), anOwner, fair(AppRequest{App: "notice"}))
	if err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "4m0s sooner") {
		t.Errorf("a preview says %q, %v", p.Notes, err)
	}
}
