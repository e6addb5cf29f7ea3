// Package prices reckons what machines of EC2 cost, by a table. It knows nothing of the
// API, so that its fuzz target is built without it.
package prices

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed prices.yaml
var own []byte

// A Table is what there is to pay, by region, in millionths of a currency.
type Table struct {
	AsOf     time.Time // the day it was read
	Currency string    // like USD

	name    string // of where it is from
	regions map[string]region
}

type region struct {
	address  *int64           // an hour; nil: addresses cost nothing
	volumes  map[string]int64 // a GiB a month, by type
	machines map[string]int64 // an hour, by type
}

// A file is a table as it is written.
type file struct {
	AsOf     string `yaml:"as_of"`
	Currency string `yaml:"currency"`
	Regions  map[string]struct {
		Address  string            `yaml:"address"`
		Volumes  map[string]string `yaml:"volumes"`
		Machines map[string]string `yaml:"machines"`
	} `yaml:"regions"`
}

const mostFile = 1 << 20 // bytes

var (
	amountForm   = regexp.MustCompile(`^([0-9]{1,6})(?:\.([0-9]{1,6}))?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	regionForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	volumeForm   = regexp.MustCompile(`^[a-z0-9]{2,20}$`)
	machineForm  = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+$`)
)

// Load reads the table in a file; with an empty path it is this program's own.
func Load(path string) (Table, error) {
	if path == "" {
		return parse("this program's table of prices", own)
	}
	f, err := os.Open(path)
	if err != nil {
		return Table{}, fmt.Errorf("read the table of prices: %w; correct --prices", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err != nil {
		return Table{}, fmt.Errorf("read the table of prices: %w; correct --prices", err)
	}
	if len(text) > mostFile {
		return Table{}, fmt.Errorf("%s has more than %d bytes, and is no table of prices; correct --prices", path, mostFile)
	}
	return parse(path, text)
}

// parse reads a table, and tells everything that is wrong with it.
func parse(name string, text []byte) (Table, error) {
	var f file
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return Table{}, fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", name, fmt.Errorf(format, args...)))
	}
	t := Table{name: name, Currency: f.Currency, regions: map[string]region{}}
	var err error
	if t.AsOf, err = time.Parse(time.DateOnly, f.AsOf); err != nil {
		wrong("as_of is %q; write the day it was read, like 2026-07-20", f.AsOf)
	}
	if !currencyForm.MatchString(t.Currency) {
		wrong("currency is %q; write it like USD", t.Currency)
	}
	if len(f.Regions) == 0 {
		wrong("it has no regions")
	}
	amounts := func(where string, form *regexp.Regexp, from map[string]string) map[string]int64 {
		to := map[string]int64{}
		for _, key := range slices.Sorted(maps.Keys(from)) {
			amount, ok := amountOf(from[key])
			if !ok || !form.MatchString(key) {
				wrong("%s.%s is %q; write a type and an amount, like t3.small: 0.0208 or gp3: 0.08", where, key, from[key])
			}
			to[key] = amount
		}
		return to
	}
	for _, name := range slices.Sorted(maps.Keys(f.Regions)) {
		from := f.Regions[name]
		if !regionForm.MatchString(name) {
			wrong("%q is no region; write it like eu-central-1", name)
		}
		if len(from.Machines) == 0 {
			wrong("%s has no machines", name)
		}
		r := region{volumes: amounts(name+".volumes", volumeForm, from.Volumes), machines: amounts(name+".machines", machineForm, from.Machines)}
		if from.Address != "" {
			amount, ok := amountOf(from.Address)
			if !ok {
				wrong("%s.address is %q; write an amount an hour, like 0.005", name, from.Address)
			}
			r.address = &amount
		}
		t.regions[name] = r
	}
	return t, errors.Join(errs...)
}

// amountOf reads millionths.
func amountOf(text string) (int64, bool) {
	m := amountForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1]+m[2]+strings.Repeat("0", 6-len(m[2])), 10, 64)
	return n, err == nil
}
