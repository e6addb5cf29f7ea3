//go:build cluster

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// join has a console join by way of the first one.
func (s *scene) join(c *console) {
	s.Helper()
	token, err := s.consoles[0].popup("cluster-token")
	must(s, err)
	file := filepath.Join(c.disk, "token")
	must(s, os.WriteFile(file, []byte(strings.TrimSpace(token)), 0o600))
	c.start("--join", file)
}

// TestOneConsole is the scene without anything being taken.
func TestOneConsole(t *testing.T) {
	s := newScene(t, 1)
	<-time.After(15 * time.Second)
	s.judge()
}
