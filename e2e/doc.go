// Package e2e holds what is tested on real machines: the popup binary, told
// what to do by user-data it rendered itself, run by cloud-init and systemd,
// and watched from outside.
//
// System containers run with `go test ./e2e` and need root. Virtual machines
// run with the build tag vm. KEEP=1 keeps what each machine printed and wrote
// in e2e/out.
package e2e
