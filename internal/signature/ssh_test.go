package signature

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	"popup/internal/testutil"
)

func TestSSHKeys(t *testing.T) {
	for _, key := range []struct{ kind, bits, want string }{
		{"ed25519", "256", ""},
		{"ecdsa", "256", ""},
		{"ecdsa", "521", ""},
		{"rsa", "2048", ""},
		{"rsa", "1024", "1024 bits is too weak"},
	} {
		t.Run(key.kind+key.bits, func(t *testing.T) {
			t.Parallel()
			file, public := newSSHKey(t, key.kind, "-b", key.bits)
			raw, _ := commitWith(t, nil, "gpg.format=ssh", "user.signingkey="+file)
			k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
			if err != nil {
				t.Fatal(err)
			}
			signer, err := Verify(raw, Allowed{ssh: []sshSigner{{principals: "anna@example.org", key: k}}})
			wants(t, err, key.want)
			if err == nil && signer != "anna@example.org" {
				t.Errorf("signed by %q", signer)
			}
			_, err = ParseAllowed("anna@example.org " + public)
			wants(t, err, key.want)
		})
	}
}

// TestAllowedSignersMeanWhatGitMeans holds every line against git's own verdict.
func TestAllowedSignersMeanWhatGitMeans(t *testing.T) {
	file, public := newSSHKey(t, "ed25519")
	_, other := newSSHKey(t, "ed25519")
	raw, repo := commitWith(t, []string{"GIT_COMMITTER_DATE=2026-05-10T12:00:00Z"}, "gpg.format=ssh", "user.signingkey="+file)
	for name, test := range map[string]struct{ text, want string }{
		"plain":               {"anna@example.org " + public, ""},
		"quoted":              {`"anna@example.org" ` + public, ""},
		"among others":        {"# who\n\nbert@example.org " + other + "\nanna@example.org " + public, ""},
		"git alone":           {`anna@example.org namespaces="git" ` + public, ""},
		"git too":             {`anna@example.org namespaces="file,g*" ` + public, ""},
		"not git":             {`anna@example.org namespaces="file" ` + public, "allowed for file and not for git"},
		"all but git":         {`anna@example.org namespaces="*,!git" ` + public, "not for git"},
		"since before":        {`anna@example.org valid-after="20260501Z" ` + public, ""},
		"since later":         {`anna@example.org valid-after="20260601Z" ` + public, "counts only from 2026-06-01"},
		"until before":        {`anna@example.org valid-before="202605101159Z" ` + public, "counted only until 2026-05-10 11:59"},
		"until later":         {`anna@example.org valid-before="20260510120001Z" ` + public, ""},
		"within":              {`anna@example.org valid-after="20260501Z",namespaces="git",valid-before="20260601Z" ` + public, ""},
		"once no, then yes":   {`anna@example.org valid-before="20260501Z" ` + public + "\nanna@example.org " + public, ""},
		"a stranger":          {"bert@example.org " + other, "not among the allowed signers"},
		"upper case":          {`anna@example.org NAMESPACES="git" ` + public, ""},
		"spaces, and a DOS":   {"  anna@example.org   " + public + "  \r\n", ""},
		"several principals":  {"anna@example.org,bert@example.org " + public, ""},
		"a comment with hash": {"anna@example.org " + public + " # hers", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Verify(raw, allow(t, test.text))
			wants(t, err, test.want)
			list := filepath.Join(t.TempDir(), "allowed")
			if err := os.WriteFile(list, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			git := exec.CommandContext(t.Context(), "git", "-C", repo.Dir, "-c", "gpg.ssh.allowedSignersFile="+list, "verify-commit", "HEAD")
			git.Env = append(testutil.GitEnv(), "TZ=UTC")
			if out, gitErr := git.CombinedOutput(); (gitErr == nil) != (err == nil) {
				t.Errorf("git says %v, and we say %v\n%s", gitErr, err, out)
			}
		})
	}
}

func TestStrangerIsNamed(t *testing.T) {
	file, public := newSSHKey(t, "ed25519")
	_, other := newSSHKey(t, "ed25519")
	raw, _ := commitWith(t, nil, "gpg.format=ssh", "user.signingkey="+file)
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Verify(raw, allow(t, "bert@example.org "+other))
	wants(t, err, ssh.FingerprintSHA256(k))
	_, err = Verify(raw, Allowed{})
	wants(t, err, ssh.FingerprintSHA256(k))
}

func TestTamperedCommit(t *testing.T) {
	file, public := newSSHKey(t, "ed25519")
	raw, _ := commitWith(t, nil, "gpg.format=ssh", "user.signingkey="+file)
	gpg := newGnuPG(t)
	gpg.generate("Anna <anna@example.org>", "ed25519", "never")
	pgp, _ := commitWith(t, gpg.env, "user.signingkey="+gpg.fingerprint("anna"))
	allowed := allow(t, "anna@example.org "+public+"\n"+gpg.public("anna"))
	for name, tamper := range map[string]func(raw []byte) (changed []byte, want string){
		"nothing": func(raw []byte) ([]byte, string) { return raw, "" },
		"the tree": func(raw []byte) ([]byte, string) {
			changed := bytes.Clone(raw)
			changed[len("tree ")] ^= 1
			return changed, "does not match"
		},
		"the author":     replacing("author Test", "author Tess", "does not match"),
		"the message":    replacing("A notice", "A Notice", "does not match"),
		"one more line":  func(raw []byte) ([]byte, string) { return append(bytes.Clone(raw), '\n'), "does not match" },
		"a parent":       replacing("author Test", "parent 0123456789012345678901234567890123456789\nauthor Test", "does not match"),
		"a header":       replacing("author Test", "author-of all\nauthor Test", "does not match"),
		"line ends":      replacing("A notice\n", "A notice\r\n", "does not match"),
		"no signature":   replacing("gpgsig ", "gpgsick ", "is not signed"),
		"two signatures": replacing("gpgsig ", "gpgsig -----BEGIN SSH SIGNATURE-----\ngpgsig ", "two signatures"),
		"another kind":   replacing("gpgsig -----BEGIN ", "gpgsig -----BEGIN SIGNED MESSAGE-----\n ", "X.509"),
		"no known kind":  replacing("gpgsig -----BEGIN ", "gpgsig -----START ", "neither SSH's nor OpenPGP's"),
		"half of it": func(raw []byte) ([]byte, string) {
			at := bytes.Index(raw, []byte("-----END ")) - 100
			return bytes.Join([][]byte{raw[:at], raw[at+100:]}, nil), "cannot be read"
		},
		"a second commit": func(raw []byte) ([]byte, string) { return []byte("blob " + string(raw)), "is no commit" },
		"in the message": func(raw []byte) ([]byte, string) {
			at := bytes.Index(raw, []byte("gpgsig "))
			end := bytes.Index(raw, []byte("\n\n"))
			return []byte(string(raw[:at]) + "\n" + string(raw[at:end])), "is not signed"
		},
		"sha256's is of the same": replacing("gpgsig ", "gpgsig-sha256 something\n else\ngpgsig ", ""),
	} {
		t.Run(name, func(t *testing.T) {
			for _, original := range [][]byte{raw, pgp} {
				changed, want := tamper(original)
				_, err := Verify(changed, allowed)
				wants(t, err, want)
			}
		})
	}
}

func replacing(old, by, want string) func([]byte) ([]byte, string) {
	return func(raw []byte) ([]byte, string) { return bytes.Replace(raw, []byte(old), []byte(by), 1), want }
}

func TestSignatureForSomethingElse(t *testing.T) {
	file, public := newSSHKey(t, "ed25519")
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"notice.txt": "hello\n"})
	payload := rawCommit(t, repo)
	armored := command(t, nil, payload, "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", file)
	_, err := Verify(signedWith(payload, armored), allow(t, "anna@example.org "+public))
	wants(t, err, `for "file" and not for "git"`)
	armored = command(t, nil, payload, "ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", file)
	_, err = Verify(signedWith(payload, armored), allow(t, "anna@example.org "+public))
	wants(t, err, "")
}

// TestSHA1IsRefused: ssh-keygen no longer makes such signatures; others may.
func TestSHA1IsRefused(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"notice.txt": "hello\n"})
	payload := rawCommit(t, repo)
	sum := sha512.Sum512(payload)
	message := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{"git", "", "sha512", string(sum[:])})...)
	for algorithm, want := range map[string]string{ssh.KeyAlgoRSA: `"ssh-rsa"`, ssh.KeyAlgoRSASHA512: ""} {
		sig, err := signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, message, algorithm)
		if err != nil {
			t.Fatal(err)
		}
		armored := sshsig.Armor(&sshsig.Signature{Version: 1, PublicKey: signer.PublicKey(), Namespace: "git", HashAlgorithm: sshsig.HashSHA512, Signature: sig})
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		_, err = Verify(signedWith(payload, armored), allow(t, "anna@example.org "+line))
		wants(t, err, want)
	}
}
