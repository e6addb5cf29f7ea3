//go:build dqlite

package operating

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A step is a block of the document that is marked with its machine, or what a comment of it
// has happen between two of them.
type step struct {
	verb    string // run, starts; or stop, end, lose, left, pause
	machine int
	script  string
}

var marked = regexp.MustCompile("(?s)```sh (\\d)( starts)?\n(.*?)```\n|<!-- (stop|end|lose|left|pause|for|done)((?: \\d)*) -->\n")

// steps reads a document, all of whose blocks and comments are steps. Those between for and
// done are of the first machine, and taken for each of them.
func steps(text string) (all []step, err error) {
	found := marked.FindAllStringSubmatch(text, -1)
	if n := strings.Count(text, "```sh") + strings.Count(text, "<!--"); n != len(found) {
		return nil, fmt.Errorf("of %d blocks of commands and comments %d are marked as steps", n, len(found))
	}
	var each []string
	first := 0
	for _, m := range found {
		number := func(digit string) int { n, _ := strconv.Atoi(digit); return n } // it is one, or none
		switch verb := m[4]; verb {
		case "":
			verb = map[bool]string{true: "starts", false: "run"}[m[2] != ""]
			all = append(all, step{verb, number(m[1]), m[3]})
		case "for":
			each, first = strings.Fields(m[5]), len(all)
		case "done":
			once := slices.Clone(all[first:])
			all = all[:first]
			for _, digit := range each {
				for _, s := range once {
					all = append(all, step{s.verb, number(digit), strings.ReplaceAll(s.script, "10.0.0.1", "10.0.0."+digit)})
				}
			}
		default:
			all = append(all, step{verb, number(strings.TrimSpace(m[5])), ""})
		}
	}
	return all, nil
}

func TestEveryCommandIsAStep(t *testing.T) {
	const step = "```sh 1\nfirst\n```\n"
	for _, bad := range []string{"```sh\nsecond\n```\n", "```sh 10\nsecond\n```\n", "```sh 1 start\nsecond\n```\n", "<!-- stopp 1 -->\n", "<!-- stop  1 -->\n"} {
		if all, err := steps(step + bad); err == nil {
			t.Errorf("%q is passed over: %v", bad, all)
		}
	}
}

// TestDocument does what docs/operating.md says, while somebody makes events at whichever
// console answers. What was acknowledged is there at the end.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	must(t, err)
	todo, err := steps(string(text))
	must(t, err)
	all := network(t)
	var w *writer
	for i, s := range todo {
		t.Logf("%d: %s on machine %d: %s", i, s.verb, s.machine, strings.TrimSpace(s.script))
		if s.verb == "pause" {
			w.pause()
			continue
		}
		m := all[s.machine-1]
		switch s.verb {
		case "run":
			t.Log(m.do(s.script))
		case "starts":
			m.start(s.script)
			if w == nil {
				w = begin(t, all, m)
			}
		case "stop":
			m.stop(syscall.SIGTERM)
		case "end": // it cannot reach the others to give back what it does for them
			m.stop(syscall.SIGINT)
		case "left":
			m.left()
		case "lose":
			m.stop(syscall.SIGKILL)
			must(t, os.RemoveAll(filepath.Join(m.disk, "console")))
			must(t, os.Mkdir(filepath.Join(m.disk, "console"), 0o700))
		}
	}
	w.pause()
	at := func(file string) kept { return restored(t, filepath.Join(all[0].carried, file)) }
	single, three, stopped, last := at("single.db"), at("three.db"), at("stopped.db"), at("last.db")
	for _, c := range []struct {
		name    string
		was, is kept
		atLeast int
	}{{"grown", single, three, 1}, {"stopped", three, stopped, 1}, {"at last", stopped, last, len(w.made)}} {
		c.is.follows(t, c.name, c.was)
		if len(c.is.events) < c.atLeast {
			t.Errorf("%s: there are %d events, and %d were acknowledged", c.name, len(c.is.events), c.atLeast)
		}
	}
	for _, name := range w.made {
		if !slices.ContainsFunc(last.events, func(e string) bool { return strings.HasPrefix(e, name+" ") }) {
			t.Errorf("event %s was acknowledged, and is not there", name)
		}
	}
	if len(single.steps) != len(last.steps)-1 {
		t.Errorf("the migrations were %q, and are %q after the newer version", single.steps, last.steps)
	}
	fmt.Printf("operating: %d steps, %d events acknowledged, %d without an answer, none lost\n", len(todo), len(w.made), w.unknown)
}
