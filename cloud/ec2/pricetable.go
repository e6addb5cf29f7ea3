package ec2

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
var ownPrices []byte

// A priceTable is what there is to pay, by region, in millionths of a currency.
type priceTable struct {
	name     string // of where it is from
	asOf     time.Time
	currency string
	regions  map[string]regionPrices
}

type regionPrices struct {
	address  *int64           // an hour; nil: addresses cost nothing
	volumes  map[string]int64 // a GiB a month, by type
	machines map[string]int64 // an hour, by type
}

// A priceFile is a table as it is written.
type priceFile struct {
	AsOf     string `yaml:"as_of"`
	Currency string `yaml:"currency"`
	Regions  map[string]struct {
		Address  string            `yaml:"address"`
		Volumes  map[string]string `yaml:"volumes"`
		Machines map[string]string `yaml:"machines"`
	} `yaml:"regions"`
}

const mostPriceFile = 1 << 20 // bytes

var (
	amountForm   = regexp.MustCompile(`^([0-9]{1,6})(?:\.([0-9]{1,6}))?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	volumeForm   = regexp.MustCompile(`^[a-z0-9]{2,20}$`)
)

// prices is the table that the options name. A file is read anew each time, so that a
// newer one counts from the next launch on.
func (o Options) prices() (priceTable, error) {
	if o.Prices == "" {
		return parsePrices("this program's table of prices", ownPrices)
	}
	f, err := os.Open(o.Prices)
	if err != nil {
		return priceTable{}, fmt.Errorf("read the table of prices: %w; correct --prices", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, mostPriceFile+1))
	if err != nil {
		return priceTable{}, fmt.Errorf("read the table of prices: %w; correct --prices", err)
	}
	if len(text) > mostPriceFile {
		return priceTable{}, fmt.Errorf("%s has more than %d bytes, and is no table of prices; correct --prices", o.Prices, mostPriceFile)
	}
	return parsePrices(o.Prices, text)
}

// parsePrices reads a table, and tells everything that is wrong with it.
func parsePrices(name string, text []byte) (priceTable, error) {
	var file priceFile
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return priceTable{}, fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", name, fmt.Errorf(format, args...)))
	}
	t := priceTable{name: name, currency: file.Currency, regions: map[string]regionPrices{}}
	var err error
	if t.asOf, err = time.Parse(time.DateOnly, file.AsOf); err != nil {
		wrong("as_of is %q; write the day it was read, like 2026-07-20", file.AsOf)
	}
	if !currencyForm.MatchString(t.currency) {
		wrong("currency is %q; write it like USD", t.currency)
	}
	if len(file.Regions) == 0 {
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
	for _, region := range slices.Sorted(maps.Keys(file.Regions)) {
		from := file.Regions[region]
		if !regionForm.MatchString(region) {
			wrong("%q is no region; write it like eu-central-1", region)
		}
		if len(from.Machines) == 0 {
			wrong("%s has no machines", region)
		}
		prices := regionPrices{volumes: amounts(region+".volumes", volumeForm, from.Volumes), machines: amounts(region+".machines", typeForm, from.Machines)}
		if from.Address != "" {
			amount, ok := amountOf(from.Address)
			if !ok {
				wrong("%s.address is %q; write an amount an hour, like 0.005", region, from.Address)
			}
			prices.address = &amount
		}
		t.regions[region] = prices
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
