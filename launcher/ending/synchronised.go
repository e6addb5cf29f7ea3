package ending

import (
	"time"

	"golang.org/x/sys/unix"
)

// mostError is the largest error the kernel may ascribe to a clock that counts
// as synchronised. It lets the error grow by half a second in 1000, and gives up
// at 16 seconds; time servers are asked at least every 2048 seconds.
const mostError = 10 * time.Second

// kernelSynchronised says whether something keeps the kernel's clock by NTP.
func kernelSynchronised() (bool, error) {
	var state unix.Timex // no mode: only reads
	if _, err := unix.Adjtimex(&state); err != nil {
		return false, err
	}
	return synchronisedState(&state), nil
}

func synchronisedState(state *unix.Timex) bool {
	return state.Status&unix.STA_UNSYNC == 0 && time.Duration(state.Maxerror)*time.Microsecond < mostError
}
