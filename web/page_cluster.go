package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

// clusterCard is who keeps what is known, for owners.
type clusterCard struct {
	Says    string // how many consoles, and what may be lost
	Why     string // why no more may be lost, and what to do; empty: all is well
	Act     bool   // somebody has to
	Alone   bool   // there are no others
	Members []memberRow
	Backups string // those that this console alone has; empty: none
}

// A memberRow is one of the consoles.
type memberRow struct {
	Address, Says string
	Chip          chip
}

// consoleCounts are the first words of a sentence about so many consoles.
var consoleCounts = []string{"No console", "One console", "Two consoles", "Three consoles", "Four consoles", "Five consoles"}

func clusterOf(state console.ClusterState, backupsAlone int) clusterCard {
	if len(state.Members) == 0 {
		return clusterCard{Alone: true, Says: "One console: the loss of its disk loses all."}
	}
	count := fmt.Sprint(len(state.Members), " consoles")
	if n := len(state.Members); n < len(consoleCounts) {
		count = consoleCounts[n]
	}
	tolerates, _, _ := strings.Cut(state.String(), ":")
	card := clusterCard{Says: count + ": " + tolerates + ".", Why: spoken(state.Why), Act: mustAct(state)}
	for _, m := range state.Members {
		card.Members = append(card.Members, memberOf(m))
	}
	if backupsAlone > 0 {
		card.Backups = counted(int64(backupsAlone), "backup is", "backups are") + " on this console alone. A copy is made as soon as another one answers."
	}
	return card
}

// memberWords say what a member does for the others.
var memberWords = map[console.MemberRole]string{
	console.Voter: "has a say in what is kept", console.StandBy: "keeps a copy", console.Spare: "keeps nothing yet",
}

func memberOf(m console.Member) memberRow {
	row := memberRow{Address: m.Address, Chip: chip{"answers", "good", "check"}}
	var says []string
	if m.Self {
		says = append(says, "this one")
	}
	if m.Leads {
		says = append(says, "leads the others")
	}
	if words := memberWords[m.Role]; words != "" {
		says = append(says, words)
	}
	switch {
	case !m.Answers:
		row.Chip = chip{"does not answer", "bad", "warning"}
	case m.Behind > 0:
		says = append(says, counted(m.Behind, "entry", "entries")+" behind")
	case m.Behind == 0:
		says = append(says, "up to date")
	}
	if m.Version != "" {
		says = append(says, "popup "+m.Version)
	}
	row.Says = strings.Join(says, " · ")
	return row
}

// getCluster is the same for programs.
func (s *Server) getCluster(c *gin.Context) (api.Cluster, error) {
	state, err := s.console.ClusterState(c.Request.Context(), s.actor(c))
	if err != nil {
		return api.Cluster{}, err
	}
	return ClusterOf(state, s.console.BackupsAlone()), nil
}

// ClusterOf is a state as the API says it.
func ClusterOf(state console.ClusterState, backupsAlone int) api.Cluster {
	return api.Cluster{Says: state.String(), Tolerates: state.Tolerates, Why: state.Why, BackupsAlone: backupsAlone,
		Members: each(state.Members, func(m console.Member) api.Member {
			return api.Member{Address: m.Address, Self: m.Self, Role: string(m.Role), Leads: m.Leads, Answers: m.Answers, Follows: m.Follows,
				Behind: m.Behind, Version: m.Version, URL: m.URL}
		})}
}

const (
	// troubleEvery is how old what pages say of the cluster may be: each member is asked for it.
	troubleEvery = 15 * time.Second
	troubleTime  = 3 * time.Second
)

// trouble is why the consoles tolerate no failure, as it was a moment ago.
type trouble struct {
	mu   sync.Mutex
	says string
	at   time.Time
}

// clusterTrouble is what an owner has to do something about; empty: nothing, or it is
// nobody's who asks.
func (s *Server) clusterTrouble(c *gin.Context) string {
	if console.May(s.actor(c), console.Admin) != nil {
		return ""
	}
	t := &s.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.at.IsZero() && time.Since(t.at) < troubleEvery {
		return t.says
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), troubleTime)
	defer cancel()
	state, err := s.console.ClusterState(ctx, s.actor(c))
	if err != nil { // the next page asks again
		return t.says
	}
	t.at, t.says = time.Now(), ""
	if mustAct(state) {
		t.says = spoken(state.Why)
	}
	return t.says
}

// mustAct says whether somebody has to do something, and not only to wait.
func mustAct(state console.ClusterState) bool {
	const enough = 3
	few := len(state.Members) > 0 && len(state.Members) < enough // who has it alone chose to
	return state.Tolerates == 0 && (few || slices.ContainsFunc(state.Members, func(m console.Member) bool { return !m.Answers || m.Follows == "" }))
}
