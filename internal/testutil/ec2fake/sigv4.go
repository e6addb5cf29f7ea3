package ec2fake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A key is what a request may be signed with.
type key struct {
	secret  string
	token   string // of the session; empty: it needs none
	expired bool
}

// A scope is what a signature is for.
type scope struct{ date, region, service string }

func (s scope) String() string { return s.date + "/" + s.region + "/" + s.service + "/aws4_request" }

// late is how far a request's date may be from ours.
const late = 5 * time.Minute

// authenticate recomputes the signature (version 4) of a request.
func (f *Fake) authenticate(r *http.Request, body []byte) (scope, error) {
	header := r.Header.Get("Authorization")
	fields, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return scope{}, refuse("MissingAuthenticationToken", "Request is missing Authentication Token").status(http.StatusForbidden)
	}
	given := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		given[name] = value
	}
	parts := strings.Split(given["Credential"], "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return scope{}, refuse("IncompleteSignature", "Credential must have exactly 5 slash-delimited elements, got '%s'", given["Credential"])
	}
	s := scope{parts[1], parts[2], parts[3]}
	f.mu.Lock()
	k, known := f.keys[parts[0]]
	skew, served := f.skew, f.regions[s.region] != nil
	f.mu.Unlock()
	if !known || r.Header.Get("X-Amz-Security-Token") != k.token {
		return s, refuse("AuthFailure", "AWS was not able to validate the provided access credentials").status(http.StatusUnauthorized)
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || !strings.HasPrefix(date, s.date) {
		return s, refuse("IncompleteSignature", "Date in Credential scope does not match the date of the request")
	}
	if off := time.Since(at) + skew; off > late || off < -late || k.expired {
		return s, refuse("RequestExpired", "Request has expired.")
	}
	signed := strings.Split(given["SignedHeaders"], ";")
	if !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date") {
		return s, mismatch()
	}
	want := sign(k.secret, s, date, canonical(r, signed, body))
	if !hmac.Equal([]byte(want), []byte(given["Signature"])) {
		return s, mismatch()
	}
	if !served {
		return s, refuse("AuthFailure", "Credential should be scoped to a valid region.").status(http.StatusUnauthorized)
	}
	return s, nil
}

func mismatch() *apiError {
	return refuse("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.").status(http.StatusForbidden)
}

// canonical is the request in the form that is signed.
func canonical(r *http.Request, signed []string, body []byte) string {
	var headers strings.Builder
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	escaped := strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
	query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")
	return strings.Join([]string{r.Method, escaped, query, headers.String(), strings.Join(signed, ";"), digest(body)}, "\n")
}

// sign makes the signature of a canonical request.
func sign(secret string, s scope, date, request string) string {
	k := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		k = mac(k, part)
	}
	return hex.EncodeToString(mac(k, "AWS4-HMAC-SHA256\n"+date+"\n"+s.String()+"\n"+digest([]byte(request))))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) //nolint:errcheck // a hash takes all
	return h.Sum(nil)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Temporary makes keys that need a session token, as a role hands them out.
func (f *Fake) Temporary() (access, secret, token string) {
	access, secret, token = "ASIA"+random(8), random(20), random(40)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[access] = key{secret: secret, token: token}
	return access, secret, token
}

// Expire has a key be refused from now on.
func (f *Fake) Expire(access string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[access]
	k.expired = true
	f.keys[access] = k
}

// Skew has signatures be held against a clock that is ahead by d.
func (f *Fake) Skew(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skew = d
}
