// Package ec2fake is a small EC2, and as much of SSM as finds an image: over HTTP, in
// memory, for as long as a test runs. It checks signatures, keeps its own clock, gives
// what is asked a life (pending, running, terminated), and fails where a test says so.
//
// Each answer and error is worded as EC2's documentation, or EC2 itself, words it. What
// it cannot do is refused by name, never answered with nothing.
package ec2fake

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Options say what kind of EC2 it is.
type Options struct {
	// Compat has it refuse what Eucalyptus 4.4.2 refuses.
	Compat bool
	// Regions there are; empty: us-east-1 and eu-central-1, with Compat: eucalyptus.
	Regions []string
	// Zones a region has; 0: three.
	Zones int
	// NoDefaultVPC leaves the regions without a default VPC.
	NoDefaultVPC bool
	// Takes is how long a change takes: to start, to end, to attach, to copy; 0: 20 ms.
	Takes time.Duration
	// Clock is what things are dated by, and age by; nil: time.Now. Signatures are held
	// against the real one.
	Clock func() time.Time
}

// A Fake is an EC2. Its methods may be called from several goroutines.
type Fake struct {
	URL       string // of EC2 and SSM, of all regions
	AccessKey string
	SecretKey string

	opts Options

	mu       sync.Mutex
	regions  map[string]*region
	keys     map[string]key
	profiles map[string]bool
	calls    []Call
	faults   []*Fault
	watch    func(Call)
	advanced time.Duration // of the clock
	skew     time.Duration // of the clock that signatures are held against
	lag      time.Duration // until what was made is described
	sequence int           // of all that was made
}

// A Call is a request that was signed well.
type Call struct {
	Service string // ec2, ssm
	Region  string
	Action  string
	Params  url.Values // as they were sent; SSM's by their names
	// Code of the error that it was answered with; empty: none. What was done though
	// its answer was lost has none.
	Code string
}

// New serves an EC2 with nothing in it but public images and default networks, until the test is over.
func New(t testing.TB, opts Options) *Fake {
	t.Helper()
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Takes == 0 {
		opts.Takes = 20 * time.Millisecond
	}
	if opts.Zones == 0 {
		opts.Zones = 3
	}
	switch {
	case len(opts.Regions) > 0:
	case opts.Compat:
		opts.Regions = []string{"eucalyptus"}
	default:
		opts.Regions = []string{"us-east-1", "eu-central-1"}
	}
	f := &Fake{opts: opts, AccessKey: "AKIA" + random(8), SecretKey: random(20), profiles: map[string]bool{}}
	f.keys = map[string]key{f.AccessKey: {secret: f.SecretKey}}
	f.regions = map[string]*region{}
	for _, name := range opts.Regions {
		f.regions[name] = f.newRegion(name)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// random is n random bytes in hexadecimal.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// now is the time on the fake's clock; f.mu is held.
func (f *Fake) now() time.Time { return f.opts.Clock().Add(f.advanced) }

// most is more than any request may be.
const most = 1 << 20

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	reply := ec2Reply
	if r.Header.Get("X-Amz-Target") != "" {
		reply = ssmReply
	}
	scope, err := f.authenticate(r, body)
	if err != nil {
		reply(w, "", nil, err)
		return
	}
	call, err := f.read(r, body, scope)
	if err != nil {
		reply(w, call.Action, nil, err)
		return
	}
	f.mu.Lock()
	watch, fault := f.watch, f.hit(call)
	f.mu.Unlock()
	if watch != nil {
		watch(call)
	}
	content, err := f.do(r.Context(), call, fault)
	if fault != nil && fault.Cut {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	reply(w, call.Action, content, err)
}

// read is what a request asks for.
func (f *Fake) read(r *http.Request, body []byte, scope scope) (Call, error) {
	call := Call{Service: scope.service, Region: scope.region}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return readSSM(call, target, body)
	}
	if scope.service != "ec2" {
		return call, refuse("AuthFailure", "Credential should be scoped to correct service: 'ec2'.").status(http.StatusUnauthorized)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return call, refuse("MalformedQueryString", "The query string is malformed")
	}
	for name, values := range r.URL.Query() {
		form[name] = values
	}
	call.Action, call.Params = form.Get("Action"), form
	if version := form.Get("Version"); version != "2016-11-15" {
		return call, refuse("NoSuchVersion", "The requested version (%s) of service AmazonEC2 does not exist", version)
	}
	delete(form, "Action")
	delete(form, "Version")
	return call, nil
}

// log keeps a call; f.mu is held.
func (f *Fake) log(call Call, err error) {
	call.Code = codeOf(err)
	f.calls = append(f.calls, call)
}
