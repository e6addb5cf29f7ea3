package datasync

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"popup/internal/tree"
)

// A relay is a folder of static files: relayHeadName, which says what is newest, and
// archives, which never change under their names.
const (
	relayHeadName    = "head.json"
	relayVersion     = 1
	relayArchiveType = ".tar.zst"
	mostRelayHead    = 256 << 10 // bytes of relayHeadName
	mostChanges      = 50        // listed in it
)

// A relayHead is what relayHeadName says. Fields that are not known are left to newer versions.
type relayHead struct {
	Version  int      `json:"version"`
	Revision Revision `json:"revision"`
	Tree     string   `json:"tree"` // the root's id
	// Commit is the raw object, whose id the revision is; empty where that is a folder's.
	Commit    []byte         `json:"commit,omitempty"`
	Published time.Time      `json:"published"`
	Period    int64          `json:"period,omitempty"` // seconds between two looks at the source; 0: not said
	Snapshot  relayArchive   `json:"snapshot"`
	Changes   []relayArchive `json:"changes,omitempty"` // each with what the revision From has not
}

// A relayArchive is one file beside the head.
type relayArchive struct {
	From   Revision `json:"from,omitempty"`
	Name   string   `json:"name"`
	Size   int64    `json:"size"`
	SHA256 string   `json:"sha256"`
}

func snapshotName(rev Revision) string { return string(rev) + relayArchiveType }

func changeName(from, rev Revision) string { return string(from) + ".." + snapshotName(rev) }

// isRelayArchive says whether a file of that name is one of a relay's archives.
func isRelayArchive(name string) bool {
	revs, ok := strings.CutSuffix(name, relayArchiveType)
	from, to, change := strings.Cut(revs, "..")
	return ok && Revision(from).named() && (!change || Revision(to).named())
}

// named says whether r is a commit, or of a folder: what a relay can hold.
func (r Revision) named() bool {
	text := strings.TrimPrefix(string(r), treeRevision)
	id, err := tree.ParseID(text)
	return err == nil && id.String() == text
}

// parseRelayHead reads what a relay says, and believes nothing that does not follow
// from the revision's own id but what can be seen when it is fetched.
func parseRelayHead(text []byte) (relayHead, error) {
	var h relayHead
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("%s is not what popup publish writes: %w", relayHeadName, err)
	}
	if h.Version == 0 {
		return h, fmt.Errorf("%s is not what popup publish writes: it does not say its version", relayHeadName)
	}
	if h.Version != relayVersion {
		return h, fmt.Errorf("%s is of the version %d, and %d is the one that is read here; use the same popup on both sides", relayHeadName, h.Version, relayVersion)
	}
	if err := h.check(); err != nil {
		return h, fmt.Errorf("%s is not what popup publish writes: %w", relayHeadName, err)
	}
	return h, nil
}

func (h relayHead) check() error {
	if !h.Revision.named() {
		return fmt.Errorf("its revision %s is neither a commit nor a folder's", strconv.Quote(h.Revision.Short()))
	}
	if err := h.checkTree(); err != nil {
		return err
	}
	if h.Period < 0 || h.Period > int64(mostPatience/time.Second) {
		return fmt.Errorf("its period of %d seconds is none", h.Period)
	}
	if h.Snapshot.From != "" {
		return errors.New("its snapshot is of a change")
	}
	if err := h.Snapshot.check(snapshotName(h.Revision)); err != nil {
		return err
	}
	if len(h.Changes) > mostChanges {
		return fmt.Errorf("it lists more than %d changes", mostChanges)
	}
	for _, c := range h.Changes {
		if !c.From.named() || c.From == h.Revision {
			return fmt.Errorf("it lists a change from %s", strconv.Quote(c.From.Short()))
		}
		if err := c.check(changeName(c.From, h.Revision)); err != nil {
			return err
		}
	}
	return nil
}

// checkTree holds the tree against the revision's own id.
func (h relayHead) checkTree() error {
	if _, err := tree.ParseID(h.Tree); err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(string(h.Revision), treeRevision); ok {
		if rest != h.Tree || len(h.Commit) > 0 {
			return errors.New("its tree is not the one that its revision names")
		}
		return nil
	}
	if id := tree.ObjectID("commit", h.Commit); id.String() != string(h.Revision) {
		return fmt.Errorf("its commit has not the id %s that it says", h.Revision.Short())
	}
	if !bytes.HasPrefix(h.Commit, []byte("tree "+h.Tree+"\n")) {
		return errors.New("its tree is not the one that its commit names")
	}
	return nil
}

func (a relayArchive) check(name string) error {
	sum, err := hex.DecodeString(a.SHA256)
	switch {
	case a.Name != name:
		return fmt.Errorf("it names the archive %s and not %s", strconv.Quote(a.Name[:min(len(a.Name), 100)]), name)
	case a.Size <= 0:
		return fmt.Errorf("%s has %d bytes", name, a.Size)
	case err != nil || len(sum) != 32 || hex.EncodeToString(sum) != a.SHA256:
		return fmt.Errorf("the sum of %s is no SHA-256", name)
	}
	return nil
}

// root is the id of the tree; the head was checked.
func (h relayHead) root() tree.ID {
	id, _ := tree.ParseID(h.Tree) // checked
	return id
}

// pick is what to fetch for one who has the tree of have; empty: none.
func (h relayHead) pick(have Revision) relayArchive {
	for _, c := range h.Changes {
		if c.From == have {
			return c
		}
	}
	return h.Snapshot
}
