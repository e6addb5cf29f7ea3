//go:build !dqlite

package main

const withEngine = false
