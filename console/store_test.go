package console_test

import (
	"popup/console"
	"popup/store/storetest/embedded"
)

// The store knows the console, so that tests inside the package are handed it.
func init() {
	console.OpenStore, console.VerifyAudit, console.RestoreStore = embedded.Open, embedded.VerifyAudit, embedded.Restore
}
