package signature

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
)

func TestOpenPGPKeys(t *testing.T) {
	gpg := newGnuPG(t)
	for name, kind := range map[string]string{"Anna <anna@example.org>": "ed25519", "Bert <bert@example.org>": "rsa2048", "Cleo <cleo@example.org>": "nistp256"} {
		gpg.generate(name, kind, "never")
	}
	all := allow(t, gpg.public("anna")+"# bert is new\n"+gpg.public("bert")+gpg.public("cleo"))
	alone := allow(t, gpg.public("anna"))
	for user, want := range map[string]string{"anna": "", "bert": "not among the allowed signers", "cleo": "not among the allowed signers"} {
		raw, repo := commitWith(t, gpg.env, "user.signingkey="+gpg.fingerprint(user))
		signer, err := Verify(raw, all)
		if err != nil || !strings.Contains(signer, user+"@example.org") {
			t.Errorf("%s: %q, %v", user, signer, err)
		}
		command(t, gpg.env, nil, "git", "-C", repo.Dir, "verify-commit", "HEAD")
		_, err = Verify(raw, alone)
		wants(t, err, want)
		if want != "" {
			wants(t, err, gpg.fingerprint(user))
		}
	}
}

func TestOpenPGPSubkey(t *testing.T) {
	gpg := newGnuPG(t)
	gpg.run(nil, "--quick-generate-key", "Anna <anna@example.org>", "ed25519", "cert", "never")
	gpg.run(nil, "--quick-add-key", gpg.fingerprint("anna"), "ed25519", "sign", "never")
	raw, _ := commitWith(t, gpg.env, "user.signingkey=anna@example.org")
	signer, err := Verify(raw, allow(t, gpg.public("anna")))
	if err != nil || signer != "Anna <anna@example.org>" {
		t.Errorf("%q, %v", signer, err)
	}
}

func TestOpenPGPKeyOverTime(t *testing.T) {
	gpg := newGnuPG(t)
	gpg.generate("Anna <anna@example.org>", "ed25519", "20200201T000000", "--faked-system-time", "20200101T000000")
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"notice.txt": "hello\n"})
	payload := rawCommit(t, repo)
	armored := gpg.run(payload, "--faked-system-time", "20200110T000000", "--armor", "--detach-sign", "--local-user", "anna")
	raw, allowed := signedWith(payload, armored), allow(t, gpg.public("anna"))
	for at, want := range map[string]string{"2020-01-20": "", "2020-02-02": "has expired", "2020-01-05": "clock", "2019-12-01": "clock"} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifyAt(raw, allowed, now)
		wants(t, err, want)
		if errors.Is(err, ErrClock) != (want == "clock") {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

func TestRevokedOpenPGPKey(t *testing.T) {
	gpg := newGnuPG(t)
	gpg.generate("Anna <anna@example.org>", "ed25519", "never")
	raw, _ := commitWith(t, gpg.env, "user.signingkey="+gpg.fingerprint("anna"))
	_, err := Verify(raw, allow(t, gpg.public("anna")))
	wants(t, err, "")
	revocation, err := os.ReadFile(filepath.Join(gpg.dir, "openpgp-revocs.d", gpg.fingerprint("anna")+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	gpg.run([]byte(strings.Replace(string(revocation), ":-----BEGIN", "-----BEGIN", 1)), "--import")
	_, err = Verify(raw, allow(t, gpg.public("anna")))
	wants(t, err, "was revoked")
}

func TestRevokedOpenPGPSubkey(t *testing.T) {
	gpg := newGnuPG(t)
	gpg.run(nil, "--quick-generate-key", "Anna <anna@example.org>", "ed25519", "cert", "never")
	gpg.run(nil, "--quick-add-key", gpg.fingerprint("anna"), "ed25519", "sign", "never")
	raw, _ := commitWith(t, gpg.env, "user.signingkey=anna@example.org")
	command(t, gpg.env, []byte("key 1\nrevkey\ny\n0\n\ny\nsave\n"), "gpg", "--quiet", "--no-tty", "--command-fd", "0", "--pinentry-mode", "loopback", "--passphrase", "",
		"--edit-key", gpg.fingerprint("anna"))
	_, err := Verify(raw, allow(t, gpg.public("anna")))
	wants(t, err, "was revoked")
}

func TestWeakOpenPGP(t *testing.T) {
	gpg := newGnuPG(t)
	gpg.generate("Anna <anna@example.org>", "rsa2048", "never")
	gpg.generate("Bert <bert@example.org>", "rsa1024", "never")
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"notice.txt": "hello\n"})
	payload := rawCommit(t, repo)
	allowed := allow(t, gpg.public("anna")+gpg.public("bert"))
	for _, test := range []struct {
		user, kind, digest string
		want               string
	}{
		{"anna", "--detach-sign", "SHA256", ""},
		{"anna", "--detach-sign", "SHA1", "SHA-1, which is too weak"},
		{"bert", "--detach-sign", "SHA256", "too weak"},
		{"anna", "--textmode", "SHA256", "is not of a file"},
	} {
		armored := gpg.run(payload, "--armor", "--digest-algo", test.digest, "--local-user", test.user, test.kind, "--detach-sign")
		_, err := Verify(signedWith(payload, armored), allowed)
		wants(t, err, test.want)
	}
}
