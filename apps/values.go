package apps

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written like 90s, 5m, 36h or 7d. It is never negative.
type Duration time.Duration

// Size is a number of bytes, written like 500 MB, 2 GiB or 4096.
type Size int64

// Percent is a share from 0 to 100, written like 40%.
type Percent int

// durationUnits are in the order they are written in. A day is 24 hours.
var durationUnits = []struct {
	name   string
	length time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
	{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
}

const durationHelp = "write a whole number and a unit (s m h d w), like 90s, 5m, 1h30m or 7d"

var (
	durationForm = regexp.MustCompile(`^([0-9]+[a-z]+)+$`)
	durationPart = regexp.MustCompile(`([0-9]+)([a-z]+)`)
)

// ParseDuration reads 90s, 36h, 7d, 1w2d or 1h30m: whole numbers with the units
// w d h m s (and ms us ns), the longer before the shorter.
func ParseDuration(s string) (Duration, error) {
	if !durationForm.MatchString(s) {
		return 0, flaw{quote(s) + " is not a duration", durationHelp}
	}
	var total time.Duration
	last := -1
	for _, part := range durationPart.FindAllStringSubmatch(s, -1) {
		unit := -1
		for i := range durationUnits {
			if durationUnits[i].name == part[2] {
				unit = i
			}
		}
		if unit < 0 {
			return 0, flaw{fmt.Sprintf("%s has the unknown unit %s", quote(s), quote(part[2])), durationHelp}
		}
		if unit <= last {
			return 0, flaw{quote(s) + " has its units in the wrong order", durationHelp}
		}
		last = unit
		n, err := strconv.ParseInt(part[1], 10, 64)
		length := durationUnits[unit].length
		if err != nil || n > int64((math.MaxInt64-total)/length) {
			return 0, flaw{quote(s) + " is longer than 292 years", ""}
		}
		total += time.Duration(n) * length
	}
	return Duration(total), nil
}

// String is the shortest way to write d: whole days as 7d, else like 36h or 1m30s.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	rest := time.Duration(d)
	var b strings.Builder
	for _, unit := range durationUnits {
		if unit.name == "w" || unit.name == "d" && rest%unit.length != 0 {
			continue
		}
		if n := rest / unit.length; n != 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			rest %= unit.length
		}
	}
	return b.String()
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// sizeUnits are in the order String tries them in.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3},
}

const sizeHelp = "write a number and a unit (kB MB GB TB, or KiB MiB GiB TiB), like 500 MB or 2 GiB"

var sizeForm = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)$`)

// ParseSize reads 500 MB (500,000,000 bytes), 2 GiB (2,147,483,648 bytes),
// 1.5 GB, or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	part := sizeForm.FindStringSubmatch(s)
	if part == nil {
		return 0, flaw{quote(s) + " is not a size", sizeHelp}
	}
	factor, err := sizeFactor(part[2])
	if err != nil {
		return 0, flaw{quote(s) + " " + err.Error(), sizeHelp}
	}
	value, _ := new(big.Rat).SetString(part[1]) // sizeForm lets only numbers through
	value.Mul(value, new(big.Rat).SetInt64(factor))
	whole := new(big.Int).Quo(value.Num(), value.Denom())
	if !whole.IsInt64() {
		return 0, flaw{quote(s) + " is more than 8,388,607 TiB", ""}
	}
	if !value.IsInt() && factor == 1 {
		return 0, flaw{quote(s) + " is not a whole number of bytes", sizeHelp}
	}
	return Size(whole.Int64()), nil
}

func sizeFactor(unit string) (int64, error) {
	if unit == "" || unit == "B" {
		return 1, nil
	}
	for _, u := range sizeUnits {
		if strings.EqualFold(u.name, unit) {
			return u.bytes, nil
		}
	}
	if len(unit) == 1 && strings.ContainsAny(unit, "kKmMgGtT") {
		u := strings.ToUpper(unit)
		return 0, flaw{fmt.Sprintf("does not say whether %s is %sB or %siB", unit, u, u), ""}
	}
	return 0, flaw{"has the unknown unit " + quote(unit), ""}
}

// String is exact, with the unit that needs the smallest number: 500 MB, 2 GiB, or 4097.
func (s Size) String() string {
	least, unit := int64(s), ""
	for _, u := range sizeUnits {
		if n := int64(s) / u.bytes; n*u.bytes == int64(s) && n < least {
			least, unit = n, " "+u.name
		}
	}
	return strconv.FormatInt(least, 10) + unit
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

var percentForm = regexp.MustCompile(`^([0-9]{1,3}) ?%$`)

// ParsePercent reads 40%.
func ParsePercent(s string) (Percent, error) {
	part := percentForm.FindStringSubmatch(s)
	if part == nil {
		return 0, flaw{quote(s) + " is not a percentage", "write one from 1% to 100%, like 40%"}
	}
	n, err := strconv.Atoi(part[1])
	if err != nil || n > 100 {
		return 0, flaw{quote(s) + " is more than the whole", "write one from 1% to 100%, like 40%"}
	}
	return Percent(n), nil
}

// String is like 40%.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// MarshalText is String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePercent.
func (p *Percent) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePercent(string(text))
	return err
}

// userinfo is where a URL, or what was meant to be one, may carry a password.
var userinfo = regexp.MustCompile(`[^\s/]*:\S*@`)

// quote shows what a stranger wrote: on one line, without control characters,
// not much of it, and without what may be a password.
func quote(s string) string {
	const most = 60
	s = userinfo.ReplaceAllString(s, "…@")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
