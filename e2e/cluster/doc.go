// Package cluster has three consoles on machines of their own, as far as a network and a
// disk go, and takes from them what machines lose. Its tests have the tag cluster, since
// they take minutes, and need root: make e2e T=cluster. KILLS=2 is how often the console
// that leads is killed; left out, it is 20 times.
package cluster
