package apps

import "time"

// Duration is a length of time, written like 90s, 5m or 36h, or 7d.
type Duration time.Duration

// Size is a number of bytes, written like 500 MB, 2 GiB or 4096.
type Size int64

// Percent is a share, written like 40%.
type Percent int
