package appliance

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/identity"
	"popup/internal/machine"
	"popup/internal/wire"
)

// prober is the toy that says whether it reaches the instance metadata.
func prober() map[string]string {
	files := greeting("one")
	files["server.py"] = strings.Replace(files["server.py"], `os.environ["GREETING"]`, `probe()`, 1)
	files["server.py"] = `import socket
def probe():
    try:
        socket.create_connection(("169.254.169.254", 80), 5).close()
        return "it reaches the metadata"
    except OSError as e:
        return type(e).__name__
` + files["server.py"]
	return files
}

// TestProvesWhatMachineItIs at the address where every cloud has its metadata: once
// that answers, the console is told by the cloud's signature, while the app still
// does not reach it.
func TestProvesWhatMachineItIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("a network of its own takes root; TestEnrolsWithProof of the launcher needs none")
		return
	}
	if !inside(t, syscall.CLONE_NEWNET) {
		return
	}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "address", "add", "169.254.169.254/32", "dev", "lo")
	const machineID = "i-0123456789abcdef0"
	signer, err := machine.NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	imds, err := machine.NewIMDS(machine.MetadataConfig{InstanceID: machineID, Region: "eu-north-1", Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	repo.Commit(prober())
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}, Secrets: map[string]string{"PASSWORD": "hush"}}
	config := c.plan(root, repo, "")
	c.write(root, strings.Replace(read(t, config), ", token:", ", identity: ec2, token:", 1))
	u := startUp(t, root)
	u.until("a sentence on the boot page", func() bool {
		_, page := u.get("/")
		return strings.Contains(page, "the cloud does not say yet what machine this is")
	})
	c.mu.Lock()
	if len(c.enrols) != 0 {
		t.Errorf("it enrolled without a proof: %+v", c.enrols)
	}
	c.mu.Unlock()

	listener, err := net.Listen("tcp", "169.254.169.254:80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: imds}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	u.await("/", "one for ConnectionRefusedError/hush")

	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "cloud.pem"), signer.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	verifier, err := identity.Open(certs)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.enrols) != 1 || c.enrols[0].Identity == nil {
		t.Fatalf("it enrolled %d times: %+v", len(c.enrols), c.enrols)
	}
	if d, err := verifier.Verify(*c.enrols[0].Identity); err != nil || d.InstanceID != machineID || d.Region != "eu-north-1" {
		t.Errorf("its proof is of %+v, %v", d, err)
	}
}
