package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"popup/console"
	"popup/internal/wire"
)

// A chip is a state: a word, with a shape and a tone that say the same.
type chip struct{ Word, Tone, Shape string }

// healthChips are by the console's words for how an instance is doing.
var healthChips = map[string]chip{
	console.HealthWaiting:   {"waiting", "idle", "dashed"},
	console.HealthStarting:  {"starting", "busy", "half"},
	console.HealthLive:      {"live", "good", "check"},
	console.HealthUnhealthy: {"unhealthy", "bad", "warning"},
	console.HealthSilent:    {"silent", "bad", "dashed"},
	console.HealthEnding:    {"ending", "busy", "box"},
	console.HealthOver:      {"over", "idle", "square"},
}

// healths is the order in which they are counted.
var healths = []string{console.HealthLive, console.HealthUnhealthy, console.HealthSilent, console.HealthStarting,
	console.HealthWaiting, console.HealthEnding, console.HealthOver}

var eventChips = map[console.EventState]chip{
	console.EventDraft:     {"draft", "idle", "dashed"},
	console.EventScheduled: {"scheduled", "cold", "clock"},
	console.EventOpen:      {"open", "good", "check"},
	console.EventFrozen:    {"frozen", "cold", "pause"},
	console.EventEnded:     {"ending", "busy", "box"},
	console.EventArchived:  {"over, archived", "idle", "square"},
	console.EventPurged:    {"over, archives removed", "idle", "square"},
}

// A fieldProblem is one thing that is wrong with a form; ID is of its field on the page.
type fieldProblem struct{ ID, Label, Message string }

// A choice is one of a field's.
type choice struct{ Value, Text string }

// A field is one of a form. Its zero Type is text; select has Choices.
type field struct {
	Name, Label, Hint string
	Type              string // of an input; or select, textarea, checkbox
	Value, Error      string
	Choices           []choice
	Required          bool
	Optional          bool // and it is said so
	Focus             bool // the page begins here
	Plain             bool // no words of a language: nothing is corrected or capitalised
	Autocomplete      string
	List              string // the id of a list of suggestions
	In                string // the form it is of, where a page has several with the same names
}

// ID is the field's on the page.
func (f field) ID() string {
	if f.In != "" {
		return fieldID(f.In + "-" + f.Name)
	}
	return fieldID(f.Name)
}

// fieldID is made of a name as the API has it.
func fieldID(name string) string {
	return "f-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
}

// explain puts what is wrong beside the fields, and lists it. under is what the API's
// names begin with here: event. What no field is for is listed alone.
func explain(errors []console.FieldError, under string, groups ...[]field) (problems []fieldProblem) {
	for _, group := range groups {
		for i := range group {
			group[i].Focus = group[i].Focus && len(errors) == 0 // the problems are read first
		}
	}
	for _, e := range errors {
		p := fieldProblem{Label: e.Field, Message: spoken(e.Message)}
		for _, group := range groups {
			i := slices.IndexFunc(group, func(f field) bool { return f.Name == e.Field || under+f.Name == e.Field })
			if i < 0 {
				continue
			}
			p.ID, p.Label = group[i].ID(), strings.TrimSuffix(group[i].Label, "?")
			if group[i].Error == "" {
				group[i].Error = p.Message
			}
			break
		}
		problems = append(problems, p)
	}
	return problems
}

// A copyable is something that is carried elsewhere.
type copyable struct {
	ID, Text string
	What     string // the address, the token
	Link     bool   // it is one
	Lines    bool   // it has several
}

// A sourceLink says where something comes from. URL is empty where no browser can go.
type sourceLink struct{ URL, Text, Ref string }

// linkSource shows a source of a plan.
func linkSource(s wire.Source) sourceLink {
	text := s.URL
	if id, shipped := strings.CutPrefix(s.URL, wire.CataloguePrefix); shipped {
		return sourceLink{Text: "comes with popup (" + id + ")"}
	}
	return sourceLink{URL: webAddress(s.URL), Text: withoutScheme(text), Ref: shortCommit(s.Ref)}
}

// webAddress is an address that a browser may be led to; empty where it is none.
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

func withoutScheme(address string) string {
	for _, scheme := range []string{"https://", "http://"} {
		address = strings.TrimPrefix(address, scheme)
	}
	return strings.TrimSuffix(address, ".git")
}

// commitAddress is where a commit is shown, on the hosts that have a page for it.
func commitAddress(repository, commit string) string {
	at := strings.TrimSuffix(strings.TrimSuffix(webAddress(repository), "/"), ".git")
	u, err := url.Parse(at)
	if err != nil || len(commit) < 40 {
		return ""
	}
	switch u.Host {
	case "github.com", "codeberg.org":
		return at + "/commit/" + url.PathEscape(commit)
	case "gitlab.com":
		return at + "/-/commit/" + url.PathEscape(commit)
	}
	return ""
}

// shortCommit is what a person compares of a commit, or of a tree's id; anything else
// stays as it is.
func shortCommit(commit string) string {
	id := strings.TrimPrefix(commit, "tree-")
	if len(id) < 40 || strings.Trim(id, "0123456789abcdef") != "" {
		return commit
	}
	return strings.TrimSuffix(commit, id) + id[:10]
}

// An appMark is an app's icon, or its letter where it has none.
type appMark struct{ Icon, Letter string }

func letterOf(name string) string {
	r, _ := utf8.DecodeRuneInString(strings.TrimSpace(name))
	if r == utf8.RuneError {
		return "?"
	}
	return string(unicode.ToUpper(r))
}

// A fact is a line of a list of facts.
type fact struct {
	Label, Value string
	Code         bool
}

// A pathText leads somewhere.
type pathText struct{ Path, Text string }

// A healthCount narrows a list to what is doing alike.
type healthCount struct {
	Chip   chip
	Number string
	Path   string
	On     bool
}

// A confirmation is a thing that is not taken back: it is done by typing a name.
type confirmation struct {
	ID, Title, Text string
	Name, Button    string
	Action          string
	CSRF            string
	Error           string
}

// spoken begins a sentence large, and ends it; one about a field it lets begin with it.
func spoken(text string) string {
	if strings.HasPrefix(text, "is ") || strings.HasPrefix(text, "has ") {
		text = "it " + text
	}
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 || r == utf8.RuneError {
		return text
	}
	text = string(unicode.ToUpper(r)) + text[n:]
	if last := text[len(text)-1]; last != '.' && last != '!' && last != '?' {
		text += "."
	}
	return text
}

// thousands writes a number with thin groups.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// counted is a number of something: 1 machine, 3 machines.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// size writes bytes as people do.
func size(n int64) string {
	units := []string{"bytes", "KB", "MB", "GB", "TB"}
	v, unit := float64(n), 0
	for v >= 1000 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	if unit == 0 || v >= 10 {
		return fmt.Sprintf("%.0f %s", v, units[unit])
	}
	return fmt.Sprintf("%.1f %s", v, units[unit])
}

// list joins words: a, b and c.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// roleWord is a role as a person says it.
func roleWord(r console.Role) string {
	if r == "" {
		return ""
	}
	return cmp.Or(map[console.Role]string{console.RoleHelper: "helper, by a link"}[r], string(r))
}
