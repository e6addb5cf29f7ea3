package apps

import (
	"cmp"
	"fmt"
	"path"
	"strings"
)

// Summary says in a sentence what would run.
func (m Manifest) Summary() string {
	m = m.WithDefaults()
	said := []string{fmt.Sprintf("%s (%s) %s", m.ID, m.Name, m.Serve.summary(m.Service.RootDir))}
	if m.Service.Repository != "" {
		said = append(said, "code from "+m.Service.Repository)
	}
	if d := m.Data; d != nil {
		said = append(said, fmt.Sprintf("data from %s, looked for %s", cmp.Or(d.Repository, d.URL), d.Sync.Schedule))
	}
	if m.State != nil {
		said = append(said, "keeps state")
	}
	check := fmt.Sprintf("healthy when %s answers %d", m.HealthCheck.HTTPPath, m.HealthCheck.Status)
	if m.HealthCheck.Contains != "" {
		check += " with " + quote(m.HealthCheck.Contains)
	}
	return strings.Join(append(said, check), "; ")
}

func (s Serve) summary(rootDir string) string {
	folder := path.Join(rootDir, s.PublishPath)
	if folder == "" {
		folder = "its root folder"
	}
	switch s.Type {
	case ServeCommand:
		return "runs " + quote(s.StartCommand)
	case ServePHP:
		return "runs PHP in " + folder
	}
	return "serves the files in " + folder
}
