package signature

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// A signed is a commit in its parts.
type signed struct {
	payload   []byte // what was signed: the commit without its signatures, byte for byte
	signature []byte // empty: there is none
	committed time.Time
}

// The headers that hold signatures. The second is of the same commit in a
// repository with SHA-256 ids; git takes both out of what is signed.
const (
	signatureHeader = "gpgsig"
	otherHeader     = "gpgsig-sha256"
)

// split parts a raw commit. A header goes on where a line begins with a space, and
// the first empty line ends the headers.
func split(commit []byte) (signed, error) {
	if !bytes.HasPrefix(commit, []byte("tree ")) {
		return signed{}, errors.New("it is no commit")
	}
	s := signed{payload: make([]byte, 0, len(commit))}
	rest, header, dated := commit, "", false
	for len(rest) > 0 && rest[0] != '\n' {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		value, goesOn := bytes.CutPrefix(line, []byte(" "))
		if !goesOn {
			name, after, _ := bytes.Cut(line, []byte(" "))
			header, value = string(name), after
		}
		switch header {
		case signatureHeader:
			if !goesOn && s.signature != nil {
				return signed{}, errors.New("it has two signatures, and it cannot be told which one counts; sign it once")
			}
			s.signature = append(s.signature, value...)
		case otherHeader:
		default:
			s.payload = append(s.payload, line...)
			if header == "committer" && !goesOn && !dated {
				s.committed, dated = dateOf(value), true
			}
		}
	}
	s.payload = append(s.payload, rest...)
	return s, nil
}

// dateOf reads the seconds in "Name <address> seconds zone"; what is malformed is
// the beginning of time.
func dateOf(person []byte) time.Time {
	fields := bytes.Fields(person[bytes.LastIndexByte(person, '>')+1:])
	if len(fields) == 0 {
		return time.Unix(0, 0)
	}
	seconds, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil || seconds < 0 {
		return time.Unix(0, 0)
	}
	return time.Unix(seconds, 0)
}
