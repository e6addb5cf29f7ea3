package sandbox_test

import (
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"popup/internal/sandbox"
)

// made says that testUser was made here.
var made atomic.Bool

func ensureTestUser(t *testing.T) sandbox.User {
	t.Helper()
	if _, err := user.Lookup(testUser); err != nil {
		made.Store(true)
	}
	u, err := sandbox.EnsureUser(testUser)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEnsureUserMakesAnAccountOnce(t *testing.T) {
	if !isRoot() {
		_, err := sandbox.EnsureUser("popup-test-nobody")
		if err == nil || !strings.HasPrefix(err.Error(), "create user popup-test-nobody: only root may create a user") {
			t.Errorf("without root: %v", err)
		}
		return
	}
	var group sync.WaitGroup
	users := make([]sandbox.User, 3)
	for i := range users {
		group.Go(func() { users[i] = ensureTestUser(t) })
	}
	group.Wait()
	for _, u := range users {
		if u != users[0] || u.Name != testUser || u.UID == 0 || u.GID == 0 {
			t.Errorf("users %+v", users)
		}
	}
	account, err := user.Lookup(testUser)
	if err != nil {
		t.Fatal(err)
	}
	if account.HomeDir != "/nonexistent" {
		t.Errorf("its home is %s", account.HomeDir)
	}
	res, err := runUnder(t, sandbox.Policy{}, "sh", "-c", "grep ^"+testUser+": /etc/passwd | cut -d: -f7")
	if err != nil || !strings.HasSuffix(res.Output, "/nologin\n") {
		t.Errorf("its shell is %q, %v", res.Output, err)
	}
}

func TestEnsureUserFindsAnAccount(t *testing.T) {
	u, err := sandbox.EnsureUser("nobody")
	if err != nil || u.Name != "nobody" || u.UID == 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestEnsureUserSaysWhatIsWrong(t *testing.T) {
	for name, want := range map[string]string{
		"":                      `user "": a user's name begins with`,
		"-x":                    `user "-x": a user's name begins with`,
		"a b":                   "a user's name begins with",
		"app\n":                 "a user's name begins with",
		strings.Repeat("a", 32): "at most 31 characters",
		"root":                  "look up user root: it is another name of root",
	} {
		u, err := sandbox.EnsureUser(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", name, u, err, want)
		}
	}
}
