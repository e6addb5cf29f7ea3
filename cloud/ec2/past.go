package ec2

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"popup/internal/atomicfile"
)

// A past is what is kept of a console's regions.
type past struct {
	Endpoint string   `json:"endpoint,omitempty"` // of Options
	Regions  []string `json:"regions"`            // in which machines may have been launched
}

func regionsFile(dir string) string { return filepath.Join(dir, "regions.json") }

// pastRegions are those that were used before and are not now. What is used now is
// written down before anything is launched there.
func pastRegions(opts Options) ([]string, error) {
	if opts.Dir == "" {
		return nil, nil
	}
	now, file := opts.Regions, regionsFile(opts.Dir)
	var p past
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	for _, name := range p.Regions {
		if err == nil && !regionForm.MatchString(name) {
			err = fmt.Errorf("%.40q is no region", name)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read which regions were used, in %s: %w; correct it, so that no machine is forgotten", file, err)
	}
	if err == nil && p.Endpoint != opts.Endpoint {
		return nil, fmt.Errorf("machines were launched at %s before, and would not be found at %s; start the console with that --ec2-endpoint, or move %s away once nothing is left there",
			cmp.Or(p.Endpoint, "Amazon's"), cmp.Or(opts.Endpoint, "Amazon's"), file)
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Regions, now))))
	if !slices.Equal(all, p.Regions) {
		text, err = json.Marshal(past{opts.Endpoint, all})
		if err == nil {
			err = os.MkdirAll(opts.Dir, 0o700)
		}
		if err == nil {
			err = atomicfile.Write(file, append(text, '\n'), 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("write down which regions are used: %w", err)
		}
	}
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(now, name) }), nil
}
