package ec2

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"popup/internal/testutil/ec2fake"
)

// A stranger asks EC2 as another account does: at the same address it meets another fake,
// whose account has another number.
type stranger struct {
	http.Transport
	account string
}

func (s *stranger) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		err = answer.Body.Close()
	}
	answer.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte("123456789012"), []byte(s.account))))
	return answer, err
}

// asStranger has a site's console have the credentials of another account.
func (s *site) asStranger() *ec2fake.Fake {
	s.t.Helper()
	other := ec2fake.New(s.t, ec2fake.Options{Regions: s.fake.Regions()})
	signIn(s.t, other.AccessKey, other.SecretKey)
	way := &stranger{account: "210987654321"}
	way.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(other.URL, "http://"))
	}
	s.t.Cleanup(way.CloseIdleConnections)
	s.with.HTTP = &http.Client{Transport: way}
	return other
}

// Machines of another account than the credentials' are not taken for gone, and none is
// launched beside them.
func TestAnotherAccount(t *testing.T) {
	fake, told := inStore(t)
	s := told("eu-central-1")
	was := s.launch("one")
	s.await("it is listed", func() bool { m := s.machine(); return m != nil && m.ID == was.ID })
	with := s.with
	other := s.asStranger()
	s.open()
	words := "the machines in eu-central-1 are of the account 123456789012, and the console's credentials are of 210987654321"
	s.unlisted(words)
	if m, err := s.Launch(t.Context(), s.ask("one")); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("launched is %+v, %v", m, err)
	}
	if err := s.Terminate(t.Context(), "one"); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("ended: %v", err)
	}
	if there := other.Instances(); len(there) > 0 {
		t.Errorf("the other account has %+v", there)
	}
	s.with = with
	signIn(t, fake.AccessKey, fake.SecretKey)
	s.open()
	if m := s.machine(); m == nil || m.ID != was.ID {
		t.Errorf("with its own account, listed is %+v", m)
	}
}

// Wrong credentials with which nothing was launched are corrected without more.
func TestAnotherAccountAtFirst(t *testing.T) {
	fake, told := inStore(t)
	s := told("eu-central-1")
	with := s.with
	s.asStranger()
	s.open()
	if m := s.machine(); m != nil {
		t.Fatalf("listed is %+v", m)
	}
	s.with = with
	signIn(t, fake.AccessKey, fake.SecretKey)
	s.open()
	was := s.launch("one")
	s.await("it is listed", func() bool { m := s.machine(); return m != nil && m.ID == was.ID })
}
