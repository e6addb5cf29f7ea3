package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"popup/console"
	"popup/internal/wire"
)

// Who asks, in the order of the columns below. otto's event is what is asked about: oda
// is another organiser, stranger helps with another event, and reader is a token of
// otto's that may change nothing.
var columns = []string{"olga", "otto", "oda", "vera", "helper", "stranger", "reader", nobody}

// What becomes of a request: y it may be done (what was sent is judged); f it is
// forbidden; h it is hidden, as if there were no such thing; s it asks to sign in.
const (
	may    = 'y'
	forbid = 'f'
	hide   = 'h'
	signin = 's'
)

func outcome(e exchange) rune {
	switch {
	case e.status == http.StatusUnauthorized, e.status == http.StatusSeeOther && strings.HasPrefix(e.header.Get("Location"), "/sign-in"):
		return signin
	case e.status == http.StatusForbidden:
		return forbid
	case e.status == http.StatusNotFound:
		return hide
	case e.status < 500:
		return may
	}
	return rune('0' + e.status/100)
}

// TestEveryRouteAsEveryRole walks the list of routes as everybody.
func TestEveryRouteAsEveryRole(t *testing.T) {
	s := newOwnedSite(t)
	instance := s.instanceOf(t, s.fair)
	expected := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(expectations)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || len(fields[2]) != len(columns) {
			t.Fatalf("the table has the line %q", line)
		}
		expected[fields[0]+" "+fields[1]] = fields[2]
	}
	routes := slices.Clone(s.routes)
	slices.SortStableFunc(routes, func(a, b route) int { // nobody is signed in afterwards
		return strings.Count(a.path, "/sign-out") - strings.Count(b.path, "/sign-out")
	})
	for _, r := range routes {
		name := r.method + " " + r.path
		want, known := expected[name]
		if !known {
			t.Errorf("%s is a route of which the table says nothing", name)
		}
		delete(expected, name)
		var got strings.Builder
		for _, who := range columns {
			got.WriteRune(outcome(s.try(t, r, who, instance)))
		}
		if got.String() != want {
			t.Errorf("%-8s%-45s%s, and the table says %s", r.method, r.path, &got, want)
		}
	}
	for name := range expected {
		t.Errorf("%s is in the table, and no route", name)
	}
}

// try asks for a route about otto's event as somebody, with nothing in it that would be
// done for good.
func (s *site) try(t *testing.T, r route, who, instance string) exchange {
	t.Helper()
	if r.stream { // it would not end
		return s.do(t, request{who: who, method: r.method, path: r.path + "?event=" + s.fair + "&after=no"})
	}
	var parts []string
	for part := range strings.SplitSeq(r.path, "/") {
		switch {
		case part == ":id" && strings.Contains(r.path, "/events/"):
			part = s.fair
		case part == ":id" && strings.Contains(r.path, "/instances/"):
			part = instance
		case part == ":id" && strings.Contains(r.path, "/people/"):
			part = s.vera
		case part == ":id" && strings.Contains(r.path, "/apps/"):
			part = string(testApp)
		case part == ":id" && strings.Contains(r.path, "/operations/"):
			operations, err := s.console.Operations(t.Context(), s.otto, s.fair)
			must(t, err)
			part = operations[0].ID
		case part == ":id" && strings.Contains(r.path, "/links/"), part == ":link":
			link, _, err := s.console.AddLink(t.Context(), s.otto, s.fair, "to be removed")
			must(t, err)
			part = link.ID
		case part == ":id" && strings.Contains(r.path, "/tokens/"), part == ":token":
			token, _, err := s.console.AddToken(t.Context(), s.otto, console.NewToken{Title: "to be removed"})
			must(t, err)
			part = token.ID
		case part == ":name" && strings.HasPrefix(r.path, "/assets/"):
			part = "none.css"
		case part == ":name":
			part = "our-fair"
		case part == ":sum":
			part = strings.Repeat("0", 64)
		case strings.HasPrefix(part, ":"):
			part = "none"
		}
		parts = append(parts, part)
	}
	ask := request{who: who, method: r.method, path: strings.Join(parts, "/"), browser: !strings.HasPrefix(r.path, "/api/") || isAccount(r.path)}
	if ask.body = bodies[r.path]; ask.body == "" && r.takes != nil {
		ask.body = `{}`
	}
	if r.who == audience("instance") {
		ask.header = map[string]string{wire.HeaderInstance: instance, wire.HeaderSignature: "bm9uZQ=="}
	}
	return s.do(t, ask)
}

// isAccount says that a token may not do that, but only who signed in.
func isAccount(path string) bool {
	return strings.HasPrefix(path, "/api/v1/tokens") || strings.HasPrefix(path, "/api/v1/me/")
}

// bodies are sent where what is wrong with nothing at all is told to everybody.
var bodies = map[string]string{
	"/api/v1/instances/:id/commands": `{"verb":"sync"}`,
	"/api/v1/instances/:id/pins":     `{"read_only":false}`,
	"/instances/:id/commands":        "verb=sync",
	"/launch":                        "step=check",
}

// expectations say what becomes of each route, by column.
const expectations = `
GET     /healthz                             yyyyyyyy
GET     /download/:sum                       hhhhhhhh
GET     /api/v1/apps                         yyyyyyys
GET     /api/v1/apps/:id                     yyyyyyys
GET     /api/v1/apps/:id/icon                yyyyyyys
GET     /api/v1/apps/:id/screenshots/:n      hhhhhhhs
GET     /api/v1/apps/:id/userdata            yyyyyyys
GET     /api/v1/catalogue/diff               yyyyyyys
GET     /api/v1/catalogue/inspect            yyyffffs
POST    /api/v1/launches                     yyyffffs
GET     /api/v1/operations/:id               yyhyyhys
POST    /api/v1/bakes                        yyyffffs
GET     /api/v1/images                       yyyyyyys
DELETE  /api/v1/images/:id                   hffffffs
GET     /api/v1/events                       yyyyyyys
POST    /api/v1/events                       yyyffffs
GET     /api/v1/events/:id                   yyhyyhys
PATCH   /api/v1/events/:id                   yyhffhfs
POST    /api/v1/events/:id/freeze            yyhffhfs
POST    /api/v1/events/:id/thaw              yyhffhfs
POST    /api/v1/events/:id/end               yyhffhfs
POST    /api/v1/events/:id/purge             yyhffhfs
GET     /api/v1/events/:id/receipt           yyhyyhys
POST    /api/v1/events/:id/dismiss           hhhffhfs
GET     /api/v1/events/:id/deployments       yyhyyhys
GET     /api/v1/events/:id/operations        yyhyyhys
GET     /api/v1/events/:id/archives          yyhffhys
GET     /api/v1/events/:id/archives.zip      hhhffhhs
GET     /api/v1/instances/:id/archives/:name hhhffhhs
PUT     /api/v1/vault/:name                  yyyyyyyy
GET     /api/v1/vault/:name                  ffffffff
GET     /api/v1/vault/                       ffffffff
GET     /sign-in/oidc                        hhhhhhhh
GET     /sign-in/oidc/callback               hhhhhhhh
GET     /api/v1/public/:name                 yyyyyyyy
GET     /api/v1/instances                    yyyyyyys
GET     /api/v1/instances/:id                yyhyyhys
GET     /api/v1/instances/:id/config         yyhyyhys
POST    /api/v1/instances/:id/commands       yyhfyhfs
GET     /api/v1/instances/:id/orders         yyhyyhys
GET     /api/v1/instances/:id/logs/:command  hhhfhhfs
PATCH   /api/v1/instances/:id/pins           yyhfyhfs
POST    /api/v1/instances/:id/discard        yyhffhfs
POST    /api/v1/instances/:id/paste          yyhffhfs
POST    /api/v1/instances/:id/off            yyhffhfs
POST    /api/v1/instances/:id/replace        yyhffhfs
POST    /api/v1/login                        ssssssss
GET     /api/v1/me                           yyyyyyys
POST    /api/v1/me/password                  yyyyfffs
GET     /api/v1/people                       yffffffs
POST    /api/v1/people                       yffffffs
PATCH   /api/v1/people/:id                   yffffffs
POST    /api/v1/people/:id/invite            yffffffs
GET     /api/v1/tokens                       yyyyfffs
POST    /api/v1/tokens                       yyyyfffs
DELETE  /api/v1/tokens/:id                   yyfffffs
GET     /api/v1/events/:id/links             yyhffhfs
POST    /api/v1/events/:id/links             yyhffhfs
DELETE  /api/v1/links/:id                    yyhffhfs
GET     /api/v1/audit                        yffyfffs
GET     /api/v1/settings                     yffffffs
GET     /api/v1/cluster                      yffffffs
GET     /api/v1/backup                       yffffffs
GET     /api/v1/openapi.json                 yyyyyyyy
GET     /api/v1/stream                       yyhyyhys
POST    /api/v1/enrol                        yyyyyyyy
POST    /api/v1/report                       ffffffff
POST    /api/v1/logs/:command                ffffffff
GET     /assets/:name                        hhhhhhhh
GET     /claim/:secret                       yyyyyyyy
POST    /claim/:secret                       yyyyyyyf
GET     /join/:secret                        yyyyyyyy
POST    /join/:secret                        yyyyyyyf
GET     /h/:secret                           yyyyyyyy
POST    /h/:secret                           sssssssf
GET     /sign-in                             yyyyyyyy
POST    /sign-in                             sssssssf
GET     /e/:name                             yyyyyyyy
GET     /e/:name/qr.svg                      yyyyyyyy
GET     /                                    yyyyyyys
GET     /apps                                yyyyyyys
GET     /apps/:id                            yyyyyyys
GET     /launch                              yyyffffs
POST    /launch                              yyyffffs
GET     /operations/:id                      yyhyyhys
GET     /events/:id                          yyhyyhys
POST    /events/:id/dates                    yyhffhfs
POST    /events/:id/cap                      yyhffhfs
POST    /events/:id/freeze                   yyhffhfs
POST    /events/:id/thaw                     yyhffhfs
POST    /events/:id/end                      yyhffhfs
POST    /events/:id/purge                    yyhffhfs
POST    /events/:id/links                    yyhffhfs
POST    /events/:id/links/:link/remove       yyhffhfs
GET     /events/:id/receipt                  yyhyyhys
POST    /events/:id/dismiss                  hhhffhfs
GET     /events/:id/audit                    yyhyfhys
GET     /instances                           yyyyyyys
GET     /instances/:id                       yyhyyhys
POST    /instances/:id/commands              yyhfyhfs
POST    /instances/:id/discard               yyhffhfs
POST    /instances/:id/paste                 yyhffhfs
POST    /instances/:id/off                   yyhffhfs
POST    /instances/:id/replace               yyhffhfs
GET     /instances/:id/logs/:command         yyhfyhfs
GET     /people                              yffffffs
POST    /people                              yffffffs
POST    /people/:id                          yffffffs
POST    /people/:id/invite                   yffffffs
GET     /account                             yyyyyyfs
POST    /account/password                    yyyyfffs
POST    /account/tokens                      yyyyfffs
POST    /account/tokens/:token/remove        yyfffffs
GET     /audit                               yffyfffs
GET     /settings                            yffffffs
GET     /images                              yyyyyyys
POST    /images                              yyyffffs
POST    /images/:id/remove                   hffffffs
POST    /sign-out                            ssssssss
`
