// Package sourcetest holds every kind of source against one contract, each with its
// real server behind it. There is nothing in it but tests.
package sourcetest
