package apps

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithDefaults(t *testing.T) {
	written := Manifest{ID: "x", Data: &Data{Repository: "./d"}, Env: map[string]EnvVar{"A": {}}}
	got := written.WithDefaults()
	want := Manifest{
		ID: "x",
		Data: &Data{
			Source: SourceGit, Repository: "./d", Sync: DataSync{Schedule: "@every 5m", OnChange: OnChangeNothing},
			Check: DataCheck{Timeout: Duration(time.Minute)}, Limits: DataLimits{Size: 1 << 30, Files: 100_000},
		},
		HealthCheck: HealthCheck{
			HTTPPath: "/", Status: 200, GracePeriod: Duration(time.Minute), Interval: Duration(10 * time.Second), Timeout: Duration(5 * time.Second),
		},
		Env: map[string]EnvVar{"A": {Type: TypeText}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Manifest{ID: "x", Data: &Data{Repository: "./d"}, Env: map[string]EnvVar{"A": {}}}, written); diff != "" {
		t.Errorf("what was written changed: %s", diff)
	}
	if diff := cmp.Diff(got, got.WithDefaults()); diff != "" {
		t.Errorf("a second time changes: %s", diff)
	}
}

func TestDefaultsKeepWhatWasWritten(t *testing.T) {
	m, err := Parse("app.yaml", []byte(fullManifest))
	if err != nil {
		t.Fatal(err)
	}
	want := m
	want.Env = map[string]EnvVar{}
	for name, v := range m.Env {
		if v.Type == "" {
			v.Type = TypeText
		}
		want.Env[name] = v
	}
	if diff := cmp.Diff(want, m.WithDefaults()); diff != "" {
		t.Error(diff)
	}
}
