package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A pkg is what the go command knows of a package.
type pkg struct {
	ImportPath string
	Deps       []string // all of them, however indirect
	DepsErrors []struct{ Err string }
	Error      *struct{ Err string }
}

// packages lists the packages of the module as they are built without cgo.
func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Deps,DepsErrors,Error", "./...")
	list.Dir = root
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("the go command lists %d packages: %s", len(packages), out)
	}
	return packages
}

// unwanted are the dependencies that the room must never have.
func unwanted(never, deps []string) []string {
	return slices.DeleteFunc(slices.Clone(deps), func(dep string) bool {
		return !slices.ContainsFunc(never, func(prefix string) bool { return within(dep, prefix) })
	})
}

func TestRoomsStayClearOfWhatTheyNeverUse(t *testing.T) {
	for _, p := range packages(t) {
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, dep := range unwanted(rooms[roomOf(dir)].never, p.Deps) {
			t.Errorf("%s depends on %s, which its room never uses", dir, dep)
		}
	}
	got := unwanted(sdk, []string{"fmt", "github.com/aws/aws-sdk-go-v2/service/ec2", "github.com/aws/aws-sdk-go-v2-more"})
	if len(got) != 1 || got[0] != "github.com/aws/aws-sdk-go-v2/service/ec2" {
		t.Errorf("unwanted finds %v", got)
	}
}

// TestEC2IsSpokenToInOneRoom: it is large, and what it says is put into sentences there.
func TestEC2IsSpokenToInOneRoom(t *testing.T) {
	spoken := false
	for _, p := range packages(t) {
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		if slices.ContainsFunc([]string{"cloud/ec2", "cmd/popup", "e2e"}, func(room string) bool { return within(dir, room) }) {
			spoken = spoken || len(unwanted(ec2, p.Deps)) > 0
			continue
		}
		for _, dep := range unwanted(ec2, p.Deps) {
			t.Errorf("%s depends on %s; only cloud/ec2 speaks to EC2", dir, dep)
		}
	}
	if !spoken {
		t.Error("nobody speaks to EC2, as far as this test can tell")
	}
}

// TestPricesKnowNoSDK: a fuzz target is built anew with all that it depends on, and of EC2 that takes gigabytes.
func TestPricesKnowNoSDK(t *testing.T) {
	const dir = module + "/cloud/ec2/prices"
	all := packages(t)
	i := slices.IndexFunc(all, func(p pkg) bool { return p.ImportPath == dir })
	if i < 0 {
		t.Fatalf("there is no %s", dir)
	}
	for _, dep := range unwanted(sdk, all[i].Deps) {
		t.Errorf("%s depends on %s", dir, dep)
	}
}

// TestBuildsWithoutCgo: only a release build of the console's cluster store needs cgo.
func TestBuildsWithoutCgo(t *testing.T) {
	for _, p := range packages(t) {
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		for _, err := range p.DepsErrors {
			t.Errorf("%s: %s", p.ImportPath, err.Err)
		}
	}
	for _, file := range sources(t) {
		if roomOf(file.dir) != "store" && slices.Contains(file.imports, "C") {
			t.Errorf("%s uses cgo", file.path)
		}
	}
}
