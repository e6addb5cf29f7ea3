package web

import (
	"context"
	"sync"

	"popup/console"
)

// A memoryCloud keeps machines in memory.
type memoryCloud struct {
	mu       sync.Mutex
	machines map[string]console.Machine
	data     map[string][]byte
}

func (m *memoryCloud) Check(context.Context, console.Launch) error { return nil }

func (m *memoryCloud) Launch(_ context.Context, l console.Launch) (console.Machine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.machines[l.Instance] = console.Machine{Instance: l.Instance, ID: "m-" + l.Instance, State: console.MachineRunning, Address: "http://" + l.Instance + ".test"}
	m.data[l.Instance] = l.UserData
	return m.machines[l.Instance], nil
}

func (m *memoryCloud) Machines(context.Context) (all []console.Machine, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, machine := range m.machines {
		all = append(all, machine)
	}
	return all, nil
}

func (m *memoryCloud) Terminate(_ context.Context, instance string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.machines, instance)
	return nil
}

func (m *memoryCloud) userData(instance string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.data[instance])
}
