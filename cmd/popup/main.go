// Command popup turns a bare machine into a live copy of an open-source web service.
package main

func main() {}
