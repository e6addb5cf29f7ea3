package ec2

import (
	"fmt"
	"slices"
	"strings"

	"popup/internal/wire"
)

const (
	mostToken = 64  // characters, of EC2's
	mostTries = 100 // attempts of an instance that its machine is looked for by; a filter takes 200 values
)

// token is the client token of an attempt to launch an instance: whoever asks with it
// again gets the same machine. An instance's name is in it where there is room, so that a
// machine is known before it has tags.
func (c *Cloud) token(instance string, attempt int) string {
	whole := fmt.Sprintf("%s.%d.%s", c.tokenMark(), attempt, instance)
	if len(whole) <= mostToken {
		return whole
	}
	return c.tokenMark() + "~" + hash(fmt.Sprintf("%d.%s", attempt, instance))[:40]
}

func (c *Cloud) tokenMark() string { return "popup" + c.mark() }

// tokens are those of all attempts.
func (c *Cloud) tokens(instance string) []string {
	all := make([]string, mostTries)
	for attempt := range all {
		all[attempt] = c.token(instance, attempt)
	}
	return all
}

// instanceOf is the instance whose token it is; ours says that it is one of this console's,
// also where its name has no room in it.
func (c *Cloud) instanceOf(token string) (instance string, ours bool) {
	rest, ours := strings.CutPrefix(token, c.tokenMark())
	if !ours {
		return "", false
	}
	_, instance, _ = strings.Cut(strings.TrimPrefix(rest, "."), ".")
	if wire.CheckInstance(instance) != nil || !slices.Contains(c.tokens(instance), token) {
		return "", ours
	}
	return instance, true
}
