package apps

import (
	"cmp"
	"maps"
	"time"
)

// WithDefaults is m with every default filled in. m and what it points to are
// not changed. Serve.Index stays empty: that means index.html, and for php
// index.php before it.
func (m Manifest) WithDefaults() Manifest {
	if m.Data != nil {
		data := m.Data.withDefaults()
		m.Data = &data
	}
	m.HealthCheck = m.HealthCheck.withDefaults()
	m.Env = maps.Clone(m.Env)
	for name, v := range m.Env {
		v.Type = cmp.Or(v.Type, TypeText)
		m.Env[name] = v
	}
	return m
}

func (d Data) withDefaults() Data {
	d.Source = cmp.Or(d.Source, SourceGit)
	d.Sync.Schedule = cmp.Or(d.Sync.Schedule, "@every 5m")
	d.Sync.OnChange = cmp.Or(d.Sync.OnChange, OnChangeNothing)
	d.Check.Timeout = cmp.Or(d.Check.Timeout, Duration(time.Minute))
	d.Limits.Size = cmp.Or(d.Limits.Size, 1<<30)
	d.Limits.Files = cmp.Or(d.Limits.Files, 100_000)
	return d
}

func (h HealthCheck) withDefaults() HealthCheck {
	h.HTTPPath = cmp.Or(h.HTTPPath, "/")
	h.Status = cmp.Or(h.Status, 200)
	h.GracePeriod = cmp.Or(h.GracePeriod, Duration(time.Minute))
	h.Interval = cmp.Or(h.Interval, Duration(10*time.Second))
	h.Timeout = cmp.Or(h.Timeout, Duration(5*time.Second))
	return h
}
