package apps

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var settled = Manifest{ID: "board", Env: map[string]EnvVar{
	"TITLE":  {Value: "Board", Description: "What stands\nat the top."},
	"OWNER":  {Required: true, Description: "Whose it is."},
	"PLACE":  {Required: true, Value: "Hall"},
	"SEATS":  {Type: TypeNumber, Value: "40"},
	"COLOUR": {Choices: []string{"red", "blue"}},
	"TOKEN":  {Secret: true, Type: TypeNumber},
	"KEY":    {Generator: GeneratorSecret},
	"NOTE":   {},
}}

func TestResolveSettings(t *testing.T) {
	given := map[string]string{"OWNER": "School", "SEATS": "12", "COLOUR": "blue", "TITLE": "", "PLACE": ""}
	got, err := settled.ResolveSettings(given)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"TITLE": "", "OWNER": "School", "SEATS": "12", "COLOUR": "blue", "PLACE": "Hall"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = settled.ResolveSettings(map[string]string{"OWNER": "School", "KEY": "mine"})
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"TITLE": "Board", "OWNER": "School", "SEATS": "40", "KEY": "mine", "PLACE": "Hall"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResolveSettingsSaysWhatIsWrong(t *testing.T) {
	_, err := settled.ResolveSettings(map[string]string{
		"TITEL": "x", "SEATS": "many", "COLOUR": "green", "TOKEN": "hunter2", "KEY": "hunter2\x00",
	})
	want := strings.Join([]string{
		`settings.COLOUR: "green" is not one of its choices: red, blue`,
		`settings.KEY: the value holds a NUL byte`,
		`settings.OWNER: is required and has no value — give it with --set OWNER=VALUE: Whose it is.`,
		`settings.SEATS: "many" is not a number`,
		`settings.TITEL: is not a setting of board — did you mean "TITLE"?`,
		`settings.TOKEN: the value is not a number`,
	}, "\n")
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestResolveSettingsOfAnAppWithoutAny(t *testing.T) {
	got, err := Manifest{ID: "x"}.ResolveSettings(nil)
	if err != nil || len(got) != 0 || got == nil {
		t.Errorf("got %v, %v; want an empty map", got, err)
	}
	_, err = Manifest{ID: "x"}.ResolveSettings(map[string]string{"A": "b"})
	if err == nil || err.Error() != "settings.A: is not a setting of x" {
		t.Error(err)
	}
}

func TestSecretNames(t *testing.T) {
	if diff := cmp.Diff([]string{"KEY"}, settled.GeneratedSecrets()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"KEY", "TOKEN"}, settled.SecretNames()); diff != "" {
		t.Error(diff)
	}
}
