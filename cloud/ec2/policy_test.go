package ec2

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"popup/cloud/cloudtest"
	"popup/internal/testutil/ec2fake"
)

// uses call what the contract suite does not. A test of what is allowed runs them.
var uses = map[string]func(*testing.T, *site){
	"protection": func(t *testing.T, s *site) {
		s.launch("one")
		if err := s.Protect(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		s.terminate("one")
	},
	"things": func(t *testing.T, s *site) {
		s.launch("one")
		s.makeThings()
		s.fake.Forget() // so far they were the test's own
		s.terminate("one")
		s.removeAll("ev1")
	},
}

// notCalled are allowed with what is called: EC2 asks for them when something is made with tags.
var notCalled = []string{"ec2:CreateTags"}

// TestPolicyIsWhatIsCalled: all that is called is allowed, and nothing is that never is.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	var calls []ec2fake.Call
	logged := func(t *testing.T) *site {
		s := newSite(t, AWS)
		t.Cleanup(func() { calls = append(calls, s.fake.Calls()...) })
		return s
	}
	cloudtest.Run(t, func(t *testing.T) cloudtest.World { return logged(t).world() })
	for name, use := range uses {
		t.Run(name, func(t *testing.T) { use(t, logged(t)) })
	}
	called := map[string]bool{}
	for _, c := range calls {
		called[c.Service+":"+c.Action] = true
		if made := mustBeMarked(c.Action); made && !strings.Contains(c.Params.Encode(), "Key="+strings.ReplaceAll(tagConsole, ":", "%3A")) {
			t.Errorf("%s makes what is not marked: %v", c.Action, c.Params)
		}
	}
	granted := map[string]bool{}
	for _, g := range grants() {
		for _, action := range g.Action {
			granted[action] = true
		}
	}
	for _, action := range slices.Sorted(maps.Keys(called)) {
		if !granted[action] && !slices.Contains(ofTheTest, action) {
			t.Errorf("%s is called, and not allowed", action)
		}
	}
	for _, action := range slices.Sorted(maps.Keys(granted)) {
		if !called[action] && !slices.Contains(notCalled, action) {
			t.Errorf("%s is allowed, and never called", action)
		}
	}
}

func mustBeMarked(action string) bool {
	return slices.ContainsFunc(grants(), func(g grant) bool {
		_, marks := g.Condition["Null"]["aws:RequestTag/"+tagConsole]
		return marks && slices.Contains(g.Action, "ec2:"+action)
	})
}

func TestPolicyIsJSON(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/board"
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(Policy(role)), &policy); err != nil || policy.Version != "2012-10-17" || len(policy.Statement) != len(grants())+1 {
		t.Fatalf("%v, %+v", err, policy)
	}
	seen := map[any]bool{}
	for _, s := range policy.Statement {
		if s["Effect"] != "Allow" || s["Sid"] == "" || seen[s["Sid"]] || s["Action"] == nil || s["Resource"] == nil {
			t.Errorf("statement %v", s)
		}
		seen[s["Sid"]] = true
	}
	if !strings.Contains(Policy(role), role) || strings.Contains(Policy(), "PassRole") {
		t.Error("a role is given that was not named, or the other way round")
	}
}
