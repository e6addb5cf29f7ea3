package machine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers of the metadata service, and how long a token may live.
const (
	tokenHeader    = "X-Aws-Ec2-Metadata-Token"
	tokenTTLHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTokenTTL    = 6 * time.Hour
)

// metadataVersions are the paths the same tree is found under.
var metadataVersions = []string{
	"2009-04-04", "2016-09-02", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15",
	"2022-09-24", "latest",
}

// A MetadataConfig is what an instance metadata service knows of its instance.
type MetadataConfig struct {
	InstanceID   string // "i-" and hexadecimal digits
	Hostname     string // empty: ip-A-B-C-D
	Region       string // empty: us-east-1
	Zone         string // empty: the region's a
	InstanceType string // empty: t3.micro
	ImageID      string // empty: ami-00000000000000000
	AccountID    string // empty: 000000000000
	MAC          string // of its one interface; empty: none is shown
	LocalIPv4    string // empty: 169.254.169.15, as StartVM gives it
	UserData     []byte // empty: there is none, which is a 404
	LaunchTime   time.Time
	// AllowV1 answers requests without a token too, as old instances may ask.
	AllowV1 bool
	// Signer signs the identity document; nil: there is no such document.
	Signer *IdentitySigner
	// Role is what the instance signs in with elsewhere; nil: it has none.
	Role *MetadataRole
	// Now is the clock of the tokens; nil: time.Now.
	Now func() time.Time
}

// An IMDS is an EC2 instance metadata service, version 2, for one instance. It
// is an http.Handler for any number of goroutines.
//
// The hop limit of a real one, which keeps its answers from travelling on, is a
// matter of the network: who serves an IMDS sees to it that only its instance
// reaches it.
type IMDS struct {
	cfg  MetadataConfig
	key  [32]byte // tokens are signed with it
	tree map[string][]byte
}

var instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// NewIMDS returns a metadata service.
func NewIMDS(cfg MetadataConfig) (*IMDS, error) {
	if !instanceID.MatchString(cfg.InstanceID) {
		return nil, fmt.Errorf("make metadata service: the instance id %q is not i- and 8 to 17 hexadecimal digits", cfg.InstanceID)
	}
	if len(cfg.UserData) > MaxUserData {
		return nil, fmt.Errorf("make metadata service: the user-data has %d bytes: at most %d are allowed", len(cfg.UserData), MaxUserData)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &IMDS{cfg: cfg.withDefaults()}
	if _, err := rand.Read(m.key[:]); err != nil {
		return nil, fmt.Errorf("make metadata service: %w", err)
	}
	var err error
	if m.tree, err = m.cfg.tree(); err != nil {
		return nil, fmt.Errorf("make metadata service: %w", err)
	}
	return m, nil
}

// ServeHTTP answers as the service of a real instance does.
func (m *IMDS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		m.giveToken(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed)
	case !m.mayRead(r):
		refuse(w, http.StatusUnauthorized)
	default:
		m.read(w, r)
	}
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

func (m *IMDS) giveToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Forwarded-For") != "" { // a proxy asks, not the instance
		refuse(w, http.StatusForbidden)
		return
	}
	seconds, err := strconv.Atoi(r.Header.Get(tokenTTLHeader))
	ttl := time.Duration(seconds) * time.Second
	if err != nil || seconds < 1 || ttl > maxTokenTTL {
		refuse(w, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set(tokenTTLHeader, strconv.Itoa(seconds))
	_, _ = w.Write([]byte(m.token(m.cfg.Now().Add(ttl)))) // who asked has gone
}

// token is an end and our signature of it.
func (m *IMDS) token(end time.Time) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(end.UnixMilli()))
	mac := hmac.New(sha256.New, m.key[:])
	mac.Write(text)
	return base64.URLEncoding.EncodeToString(mac.Sum(text))
}

// mayRead says whether the request carries a token of ours that still holds.
func (m *IMDS) mayRead(r *http.Request) bool {
	given := r.Header.Get(tokenHeader)
	if given == "" {
		return m.cfg.AllowV1
	}
	raw, err := base64.URLEncoding.DecodeString(given)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	end := time.UnixMilli(int64(binary.BigEndian.Uint64(raw)))
	return hmac.Equal([]byte(m.token(end)), []byte(given)) && m.cfg.Now().Before(end)
}

// read answers with a leaf of the tree, or with the names under a branch.
func (m *IMDS) read(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	version, path, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	if version == "" {
		_, _ = w.Write([]byte(strings.Join(metadataVersions, "\n")))
		return
	}
	if !slices.Contains(metadataVersions, version) {
		refuse(w, http.StatusNotFound)
		return
	}
	answer, ok := m.tree[path]
	switch {
	case !ok:
		answer, ok = m.list(path)
	case m.cfg.Role != nil && path == rolePath+m.cfg.Role.Name:
		answer = m.cfg.Role.answer(m.cfg.Now())
	}
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	_, _ = w.Write(answer)
}

// list names what is under a branch, branches with a slash behind them.
func (m *IMDS) list(branch string) ([]byte, bool) {
	prefix := ""
	if branch != "" {
		prefix = branch + "/"
	}
	var names []string
	for path := range m.tree {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if deeper {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return []byte(strings.Join(slices.Compact(names), "\n")), len(names) > 0
}

// MaxUserData is the limit of user-data on EC2, in bytes.
const MaxUserData = 16 << 10
