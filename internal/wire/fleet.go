package wire

import "fmt"

// MaxFleet bounds how many instances may be launched alike.
const MaxFleet = 1_000_000

// CheckFleet says what is wrong with a number of instances; 0 means one.
func CheckFleet(n int) error {
	if n < 0 || n > MaxFleet {
		return fmt.Errorf("a fleet of %d instances is not possible; give how many are launched alike, from 1 to %d", n, MaxFleet)
	}
	return nil
}
