// Package browser has a real browser use a real console: headless Chromium, `popup
// console` as `make run` starts it, and the apps that it launches. Its tests have the
// build tag browser; `make e2e T=browser` runs them, and needs no virtual machine.
//
// A page is used as a person uses it: what is pressed, filled in or waited for is found
// by its role and its accessible name, never by how the page is made. Nothing is timed
// but what is printed; what is waited for is asked for again until it is there.
//
// KEEP=1 keeps, of a test that failed, what the page looked like, its HTML, and the
// console's log, in e2e/out. OUT=DIR writes a picture of every page, in both themes.
package browser
