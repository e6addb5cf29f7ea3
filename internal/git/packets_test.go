package git

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const (
	oneID = "1111111111111111111111111111111111111111"
	twoID = "2222222222222222222222222222222222222222"
)

// wire writes packets: FLUSH and DELIM stand for themselves.
func wire(lines ...string) string {
	var out []byte
	for _, line := range lines {
		switch line {
		case "FLUSH":
			out = append(out, "0000"...)
		case "DELIM":
			out = append(out, "0001"...)
		default:
			out = appendPacket(out, line)
		}
	}
	return string(out)
}

func TestListed(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   string // of "main"; or what the error says
		err    error
	}{
		"branch":       {wire(oneID+" refs/heads/main\n", "FLUSH"), oneID, nil},
		"bare line":    {wire(oneID+" refs/heads/main", "FLUSH"), oneID, nil},
		"tag":          {wire(oneID+" refs/tags/main peeled:"+twoID+"\n", "FLUSH"), twoID, nil},
		"attributes":   {wire(oneID+" refs/heads/main new-thing:x symref-target:refs/heads/y\n", "FLUSH"), oneID, nil},
		"unborn":       {wire("unborn HEAD symref-target:refs/heads/x\n", oneID+" refs/heads/main\n", "FLUSH"), oneID, nil},
		"more after":   {wire(oneID+" refs/heads/main\n", "FLUSH") + "what is this", oneID, nil},
		"nothing":      {"", "", errNoAnswer},
		"cut off":      {wire(oneID + " refs/heads/main\n"), "", errCutOff},
		"cut in two":   {wire(oneID + " refs/heads/main\n")[:20], "", errCutOff},
		"no length":    {"what is this", "", errGarbled},
		"length of 3":  {"0003", "", errGarbled},
		"too long":     {"fff1" + strings.Repeat("x", 1<<16), "", errGarbled},
		"negative":     {"-001", "", errGarbled},
		"no id":        {wire("main refs/heads/main\n", "FLUSH"), "", errGarbled},
		"short id":     {wire("11 refs/heads/main\n", "FLUSH"), "", errGarbled},
		"no name":      {wire(oneID+"\n", "FLUSH"), "", errGarbled},
		"empty name":   {wire(oneID+" \n", "FLUSH"), "", errGarbled},
		"bad peeled":   {wire(oneID+" refs/tags/main peeled:2\n", "FLUSH"), "", errGarbled},
		"separator":    {wire("DELIM", "FLUSH"), "", errGarbled},
		"empty packet": {wire("", "FLUSH"), "", errGarbled},
		"not ours":     {wire("ERR upload-pack: not our ref " + oneID), "", errNotOurs},
	} {
		t.Run(name, func(t *testing.T) {
			refs, err := listed(newPackets(strings.NewReader(c.answer)))
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v; want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if commit, err := refs.resolve("main"); err != nil || string(commit) != c.want {
				t.Errorf("main is %s, %v; want %s", commit, err, c.want)
			}
		})
	}
	_, err := listed(newPackets(strings.NewReader(wire("ERR " + strings.Repeat("go away ", 1000)))))
	if err == nil || len(err.Error()) > 1100 || !refused(err) {
		t.Errorf("got %v; want the first of the server's words, as a refusal", err)
	}
}

// oldServers are what a server of the old protocol may say it can.
func oldServers(can ...capability.Capability) *packp.AdvRefs {
	adv := packp.NewAdvRefs()
	for _, c := range can {
		if err := adv.Capabilities.Set(c); err != nil {
			panic(err)
		}
	}
	return adv
}

func TestRequestFitsTheServer(t *testing.T) {
	thin := packRequest{want: oneID, have: []Commit{twoID}, shallow: true, depth: 1}
	all := []string{"shallow", "filter"}
	for name, c := range map[string]struct {
		req      packRequest
		features []string
		want     string
	}{
		"not known": {thin, nil, "no-progress ofs-delta shallow " + twoID + " deepen 1 thin-pack want " + oneID + " have " + twoID + " done"},
		"all":       {thin, all, "no-progress ofs-delta shallow " + twoID + " deepen 1 thin-pack want " + oneID + " have " + twoID + " done"},
		// A server that does not know what shallow is would take the have for a whole history.
		"little":  {thin, []string{}, "no-progress ofs-delta thin-pack want " + oneID + " done"},
		"history": {packRequest{want: oneID, have: []Commit{twoID}, whole: true, filter: "tree:0"}, all, "no-progress ofs-delta filter tree:0 want " + oneID + " have " + twoID + " done"},
	} {
		got, err := c.req.args(c.features)
		if err != nil || !sameWords(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := (packRequest{want: oneID, filter: "tree:0"}).args([]string{"shallow"}); !errors.Is(err, errNoFilter) {
		t.Errorf("got %v; want that it cannot", err)
	}
	body, err := thin.encode(oldServers(capability.Sideband64k, capability.ThinPack, capability.Shallow, capability.Filter))
	want := wire("want "+oneID+" side-band-64k thin-pack shallow\n", "shallow "+twoID+"\n", "deepen 1\n", "FLUSH", "have "+twoID+"\n", "done\n")
	if err != nil || string(body) != want {
		t.Errorf("the old protocol's request is %q, %v; want %q", body, err, want)
	}
	body, err = thin.encode(oldServers(capability.ThinPack))
	if want = wire("want "+oneID+" thin-pack\n", "FLUSH", "done\n"); err != nil || string(body) != want {
		t.Errorf("without shallow it is %q, %v; want %q", body, err, want)
	}
}

// sameWords says whether the lines hold the words, in whatever order.
func sameWords(lines []string, words string) bool {
	got, want := strings.Fields(strings.Join(lines, " ")), strings.Fields(words)
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

func TestWanted(t *testing.T) {
	adv := packp.NewAdvRefs()
	commit, tag := plumbing.NewHash(oneID), plumbing.NewHash(twoID)
	if got := wanted(adv, commit); got != commit {
		t.Errorf("without a name: %s", got)
	}
	adv.References["refs/tags/v1"], adv.Peeled["refs/tags/v1"] = tag, commit
	if got := wanted(adv, commit); got != tag {
		t.Errorf("only a tag names it: %s; want the tag", got)
	}
	adv.References["refs/heads/main"] = commit
	if got := wanted(adv, commit); got != commit {
		t.Errorf("a branch names it: %s; want the commit", got)
	}
}

func TestOldAnswers(t *testing.T) {
	req := packRequest{want: oneID, depth: 1}
	banded := oldServers(capability.Sideband64k, capability.Shallow)
	for name, c := range map[string]struct {
		adv    *packp.AdvRefs
		answer string
		want   string
		err    error
	}{
		"whole":      {banded, wire("shallow "+oneID, "FLUSH", "NAK\n", "\x02hello", "\x01PA", "\x01CK", "FLUSH"), "PACK", nil},
		"ack":        {banded, wire("FLUSH", "ACK "+oneID+"\n", "\x01PACK", "FLUSH"), "PACK", nil},
		"raw":        {oldServers(), wire("NAK\n") + "PACK", "PACK", nil},
		"not ours":   {banded, wire("ERR upload-pack: not our ref"), "", errNotOurs},
		"nothing":    {banded, "", "", errCutOff},
		"no verdict": {banded, wire("FLUSH", "FLUSH"), "", errGarbled},
		"other":      {banded, wire("FLUSH", "what?"), "", errGarbled},
		"cut off":    {banded, wire("FLUSH", "NAK\n", "\x01PACK"), "", errCutOff},
		"cut words":  {banded, wire("FLUSH", "NAK\n") + "0010\x02hel", "", errCutOff},
		"empty band": {banded, wire("FLUSH", "NAK\n", ""), "", errGarbled},
	} {
		t.Run(name, func(t *testing.T) {
			pack, err := req.answer(newPackets(strings.NewReader(c.answer)), c.adv)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(pack)
			}
			if !errors.Is(err, c.err) || err == nil && string(got) != c.want {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestSameHost(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"https://example.org/a", "https://example.org/b", true},
		{"https://example.org/a", "https://EXAMPLE.org:443/b", true},
		{"http://example.org/a", "https://example.org/a", true},
		{"https://example.org/a", "http://example.org/a", false},
		{"http://example.org:8080/a", "https://example.org/a", false},
		{"https://example.org/a", "https://example.org:444/a", false},
		{"https://example.org/a", "https://example.org.evil.org/a", false},
		{"https://example.org/a", "https://sub.example.org/a", false},
		{"https://example.org/a", "https://[::1/a", false},
	} {
		if got := sameHost(c.from, c.to); got != c.want {
			t.Errorf("%s may be told what is %s's: %v", c.to, c.from, got)
		}
	}
}

// recorded are answers of a real server, and the broken ones of the tests.
func recorded(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/answers/*")
	if err != nil || len(files) == 0 {
		f.Fatalf("there are no answers in testdata: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, text := range []string{"", "0000", "0001", "0003", "0004", "000", "fff0", "ffff", wire("ERR no"), wire("packfile\n", "\x01PACK", "\x02x", "FLUSH"),
		wire("packfile\n", "\x03no"), wire(oneID+" refs/tags/v peeled:"+twoID, "FLUSH"), wire("version 2\n", "fetch=shallow filter\n", "FLUSH")} {
		f.Add([]byte(text))
	}
}

func FuzzListed(f *testing.F) {
	recorded(f)
	f.Fuzz(func(t *testing.T, answer []byte) {
		refs, err := listed(newPackets(bytes.NewReader(answer)))
		if err == nil && !bytes.Contains(answer, []byte("0000")) {
			t.Error("an answer without an end was taken")
		}
		for name := range refs.peeled {
			if _, ok := refs.ids[name]; !ok {
				t.Errorf("%q is peeled and is not there", name)
			}
		}
		_, _ = capabilities(newPackets(bytes.NewReader(answer)))
	})
}

func FuzzAnswerWithPack(f *testing.F) {
	recorded(f)
	f.Fuzz(func(t *testing.T, answer []byte) {
		old := func(p *packets) (io.Reader, error) {
			return packRequest{depth: 1}.answer(p, oldServers(capability.Sideband64k, capability.Shallow))
		}
		for _, open := range []func(*packets) (io.Reader, error){toPack, old} {
			pack, err := open(newPackets(bytes.NewReader(answer)))
			if err != nil {
				continue
			}
			if n, err := io.Copy(io.Discard, pack); err == nil && n > int64(len(answer)) {
				t.Errorf("%d bytes came out of %d", n, len(answer))
			}
		}
	})
}
