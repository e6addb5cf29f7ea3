package appliance

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"testing"

	"popup/launcher"
	"popup/launcher/front"
)

// What keeps an app from coming up is told in a sentence, by phase.
func TestAppThatDoesNotComeUpSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		start, health string
		phase         launcher.PhaseName
		says          string
	}{
		"exits at once":          {"echo cannot open the database; exit 3", "", launcher.PhaseStart, "cannot open the database"},
		"never listens":          {"exec sleep 60", "", launcher.PhaseCheck, "nothing listens"},
		"answers 500":            {pythonServer(`s.send_response(500);s.end_headers();s.wfile.write(b"oops")`), "", launcher.PhaseCheck, "answered 500"},
		"wrong content":          {pythonServer(`s.send_response(200);s.end_headers();s.wfile.write(b"under construction")`), "  contains: all is well\n", launcher.PhaseCheck, `does not contain "all is well"`},
		"empty page":             {pythonServer(`s.send_response(200);s.end_headers()`), "", launcher.PhaseCheck, "empty"},
		"redirects for ever":     {pythonServer(`s.send_response(302);s.send_header("Location","/");s.end_headers()`), "", launcher.PhaseCheck, "redirect"},
		"program does not exist": {"exec no-such-program", "", launcher.PhaseStart, "no-such-program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": `manifest_version: 1
id: bad
name: Bad
serve:
  type: command
  start_command: |
    ` + strings.ReplaceAll(c.start, "\n", "\n    ") + `
health_check:
  grace_period: 2s
  timeout: 1s
` + c.health})
			u := startUp(t, tempRoot(t), "--config", dir)
			u.until("phase "+string(c.phase)+" has failed", func() bool { return u.phase(c.phase).State == front.PhaseFailed })
			p := u.phase(c.phase)
			if !strings.Contains(p.Detail, c.says) {
				t.Errorf("phase %s says %q; want %q in it", p.Name, p.Detail, c.says)
			}
			if s := u.status(); s.Healthy || s.Why == "" {
				t.Errorf("status says healthy %v, why %q", s.Healthy, s.Why)
			}
		})
	}
}

// pythonServer is a start command whose every answer is what body does with the handler s.
func pythonServer(body string) string {
	return `exec python3 -c '
import http.server,os
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(s): ` + body + `
http.server.ThreadingHTTPServer(("127.0.0.1",int(os.environ["PORT"])),H).serve_forever()'`
}

// A command line or a configuration that cannot be used is exit 2 or 1, with a sentence.
func TestUnusableStartIsRefused(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	good := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": staticManifest, "index.html": "welcome"})
	bad := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": strings.Replace(staticManifest, "serve:", "served:", 1)})
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"unknown key":     {[]string{"--config", bad}, 2, []string{"app.yaml:4:1", `"served"`, `"serve"`}},
		"unknown flag":    {[]string{"--confgi", good}, 2, []string{"--confgi"}},
		"no config":       {[]string{"--root", t.TempDir()}, 2, []string{"etc/popup/config.yaml"}},
		"port in use":     {[]string{"--config", good, "--listen", busy.Addr().String()}, 1, []string{"another program has this port", "--listen"}},
		"leading hyphen":  {[]string{"--config", good, "--service=--upload-pack=evil"}, 2, []string{"begins with"}},
		"newline":         {[]string{"--config", good, "--service", "https://example.org/a\nb"}, 2, []string{"control character"}},
		"password":        {[]string{"--config", good, "--service", "https://me:hunter2@example.org/a.git"}, 2, []string{"password"}},
		"unknown setting": {[]string{"--config", good, "--set", "COLOUR=red"}, 2, []string{"COLOUR"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--root") {
				args = append(args, "--root", tempRoot(t))
			}
			var stderr bytes.Buffer
			cmd := exec.Command(program, append([]string{"up"}, args...)...)
			cmd.Stderr = &stderr
			_ = cmd.Run() // the exit code is looked at below
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d; want %d", got, c.code)
			}
			for _, want := range c.says {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("the message lacks %q:\n%s", want, &stderr)
				}
			}
			if strings.Contains(stderr.String(), "hunter2") {
				t.Errorf("the message prints the password:\n%s", &stderr)
			}
		})
	}
}
