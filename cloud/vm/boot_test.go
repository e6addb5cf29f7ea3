//go:build vm

package vm

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popup/cloud/cloudtest"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/process"
	"popup/internal/wire"
)

func TestVMContract(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
		s := bootable(t)
		s.close()
		return cloudtest.World{Launch: func(instance string) console.Launch { return kepttest.Ask(t, instance) }, Patience: patience,
			Close: s.close, Open: func() console.Cloud { s.open(); return s.Cloud }}
	})
}

// page has a machine answer at each boot: it runs what it is asked for.
const page = `cat >/usr/local/bin/page <<'END'
#!/usr/bin/python3
import http.server, subprocess, urllib.parse
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        out = subprocess.run(['sh', '-c', urllib.parse.unquote(self.path[1:])], capture_output=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(out.stdout + out.stderr)
http.server.HTTPServer(('', 80), Page).serve_forever()
END
chmod 755 /usr/local/bin/page
cat >/etc/systemd/system/page.service <<'END'
[Service]
ExecStart=/usr/local/bin/page
[Install]
WantedBy=multi-user.target
END
systemctl enable --now --no-block page.service
exit # there is no popup to download`

// inside runs a shell command in a machine that has a page.
func inside(m console.Machine, command string) string {
	return kepttest.Get(m.Address + "/" + url.PathEscape(command))
}

func (s *site) awaitInside(m console.Machine, command, want string) {
	s.T.Helper()
	last := ""
	defer func() {
		if !strings.Contains(last, want) {
			s.T.Logf("%s says %q", command, last)
		}
	}()
	s.Eventually(fmt.Sprintf("%s says %q", command, want), func() bool {
		last = inside(m, command)
		return strings.Contains(last, want)
	})
}

// A machine believes that it is on EC2, and is known by what that signs; it has its
// volume, and the console, also one that was away; killed, it is started again with its
// disk; turned off, it stays so, and the next machine has the volume.
func TestVMLife(t *testing.T) {
	s := bootable(t)
	answers := s.Answer(s.Listen, "the first console")
	volume, err := s.volume("d1", 64<<20, "")
	if err != nil {
		t.Fatal(err)
	}
	l := kepttest.Ask(t, "one", page)
	l.Volume, l.Disk = volume.ID, 6<<30
	m := s.Start(l)
	s.awaitInside(m, "cat /run/cloud-init/cloud.cfg", "datasource_list: [ Ec2")
	s.awaitInside(m, "curl -sk "+s.ConsoleURL()+"/hello", "the first console /hello")
	s.proves(m)
	s.awaitInside(m, "cat /sys/block/vd*/serial", volume.ID)
	s.awaitInside(m, "df -BG --output=avail /", "6G")
	s.awaitInside(m, "echo state >/dev/vdb && sync && head -c5 /dev/vdb", "state")
	s.awaitInside(m, "echo kept >/root/kept && sync && cat /root/kept", "kept")
	s.plugsIn(m)
	s.keepsDisks(m)
	if err := s.Remove(t.Context(), console.Thing{Kind: console.ThingVolume, ID: volume.ID}); err == nil || !strings.Contains(err.Error(), "turn that off first") {
		t.Errorf("its volume was removed under it: %v", err)
	}

	answers.Close()
	keeper, err := process.Detached(filepath.Join(s.opts.Dir, "one", "processes"))
	if err != nil || keeper == 0 {
		t.Fatalf("its keeper is %d, %v", keeper, err)
	}
	s.close()
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Eventually("QEMU ends with its keeper", func() bool { return len(processes(s.T, s.opts.Dir, "one", m.ID)) == 0 })
	s.open()
	s.Answer(s.Listen, "the second one")
	s.awaitInside(m, "curl -sk "+s.ConsoleURL()+"/again", "the second one /again")
	if said := inside(m, "cat /root/kept; head -c5 /dev/vdb; cat /sys/block/vd*/serial"); !strings.Contains(said, "kept\nstate"+volume.ID) {
		t.Errorf("started again it says %q", said)
	}

	_ = inside(m, "systemctl poweroff")
	s.AwaitState("one", console.MachineStopped, "it turned itself off")

	l = kepttest.Ask(t, "two", page)
	l.Volume = volume.ID
	two := s.Start(l)
	s.Eventually("the next machine has the volume", func() bool {
		for _, pid := range processes(s.T, s.opts.Dir, "two", two.ID) {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if strings.Contains(string(line), "serial="+volume.ID) {
				return true
			}
		}
		return false
	})
	if head := headOf(t, s.kind.volumes.shelf().path(volume.ID)); head != "state" {
		t.Errorf("on its volume is %q", head)
	}
	s.end("two")
	s.end("one")
	for _, thing := range s.ids("e1") {
		kind, id, _ := strings.Cut(thing, " ")
		if err := s.Remove(t.Context(), console.Thing{Kind: console.ThingKind(kind), ID: id}); err != nil {
			t.Error(err)
		}
	}
	if left := s.ids("e1"); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

// Without a cloud to believe in, it has its user-data and its console all the same.
func TestVMOfNoCloud(t *testing.T) {
	s := bootable(t)
	s.close()
	s.opts.NoCloud = true
	s.open()
	s.Answer(s.Listen, "the console")
	m := s.Start(kepttest.Ask(t, "one", page))
	s.awaitInside(m, "cat /run/cloud-init/cloud.cfg", "datasource_list: [ NoCloud")
	s.awaitInside(m, "curl -sk "+s.ConsoleURL()+"/hello", "the console /hello")
	s.awaitInside(m, "curl -sI "+s.DownloadsURL()+"/download/its-sum", "200 OK")
}

// proves has the machine show what its metadata service says of it.
func (s *site) proves(m console.Machine) {
	s.T.Helper()
	const ask = `t=$(curl -sX PUT -H X-aws-ec2-metadata-token-ttl-seconds:60 169.254.169.254/latest/api/token); ` +
		`curl -sH X-aws-ec2-metadata-token:$t 169.254.169.254/latest/dynamic/instance-identity/`
	proof := wire.Identity{Kind: wire.IdentityEC2, Document: []byte(inside(m, ask+"document")), Signature: []byte(inside(m, ask+"rsa2048"))}
	if id, err := s.Identify(s.T.Context(), proof); err != nil || id != m.ID {
		s.T.Errorf("it proves to be %q, %v; it is %q", id, err, m.ID)
	}
}

// plugsIn gives the running machine another volume, once; no other machine may have it.
func (s *site) plugsIn(m console.Machine) {
	s.T.Helper()
	second, err := s.volume("d2", 64<<20, "")
	if err != nil {
		s.T.Fatal(err)
	}
	for range 2 {
		if err := s.Attach(s.T.Context(), second.ID, "one"); err != nil {
			s.T.Fatal(err)
		}
	}
	s.awaitInside(m, "cat /sys/block/vd*/serial", second.ID)
	if err := s.Attach(s.T.Context(), second.ID, "none"); err == nil || !strings.Contains(err.Error(), "no machine") {
		s.T.Errorf("attached to a machine that is not there: %v", err)
	}
	if err := s.kind.volumes.taken(s.T.Context(), disk{ID: second.ID, Instance: "one"}, "two"); err == nil {
		s.T.Error("another machine could have it")
	}
}

// keepsDisks looks for what was written, in snapshots of a machine that goes on.
func (s *site) keepsDisks(m console.Machine) {
	s.T.Helper()
	things, err := s.Snapshot(s.T.Context(), "one", "it was sick")
	if err != nil || len(things) != 3 {
		s.T.Fatalf("kept are %+v, %v", things, err)
	}
	var of string
	for _, thing := range things {
		if headOf(s.T, s.kind.volumes.snapshots().path(thing.ID)) == "state" {
			of = thing.ID
		}
	}
	if of == "" {
		s.T.Fatal("no snapshot has what was written to the volume")
	}
	copied, err := s.volume("d3", 1<<20, of)
	if err != nil {
		s.T.Fatal(err)
	}
	if same, err := exec.Command("cmp", s.kind.volumes.shelf().path(copied.ID), s.kind.volumes.snapshots().path(of)).CombinedOutput(); err != nil {
		s.T.Errorf("a volume of it differs: %v, %s", err, same)
	}
	s.awaitInside(m, "echo goes on", "goes on")
}

// headOf are the first five bytes of a file.
func headOf(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	head := make([]byte, 5)
	_, _ = f.Read(head) // what came is looked at
	return string(head)
}

// bootable opens a cloud whose machines have an image to start from.
func bootable(t *testing.T) *site {
	t.Helper()
	s := open(t)
	s.close()
	s.opts.Image = kepttest.Image(t, false)
	s.open()
	return s
}
