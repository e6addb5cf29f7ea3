package apps

import (
	"cmp"
	"fmt"
	"strings"
)

// Summary says in a sentence what would run.
func (m Manifest) Summary() string {
	m = m.WithDefaults()
	said := []string{fmt.Sprintf("%s (%s) %s", m.ID, m.Name, m.Serve.summary())}
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

func (s Serve) summary() string {
	switch s.Type {
	case ServeCommand:
		return "runs " + quote(s.StartCommand)
	case ServePHP:
		return "runs PHP in " + folderName(s.PublishPath)
	}
	return "serves the files in " + folderName(s.PublishPath)
}

func folderName(dir string) string {
	if dir == "" {
		return "its root folder"
	}
	return dir
}
