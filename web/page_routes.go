package web

import "net/http"

// pageRoutes are the pages for people. What a form asks for is a POST, and goes on to a
// page that can be loaded again.
var pageRoutes = []route{
	{method: http.MethodGet, path: "/assets/:name", who: anybody, endpoint: raw("", (*Server).asset)},

	{method: http.MethodGet, path: "/claim/:secret", who: anybody, endpoint: page((*Server).pageClaim)},
	{method: http.MethodPost, path: "/claim/:secret", who: anybody, endpoint: page((*Server).doClaim)},
	{method: http.MethodGet, path: "/join/:secret", who: anybody, endpoint: page((*Server).pageJoin)},
	{method: http.MethodPost, path: "/join/:secret", who: anybody, endpoint: page((*Server).doJoin)},
	{method: http.MethodGet, path: "/h/:secret", who: anybody, endpoint: page((*Server).pageHelp)},
	{method: http.MethodPost, path: "/h/:secret", who: anybody, endpoint: page((*Server).doHelp)},
	{method: http.MethodGet, path: "/sign-in", who: anybody, endpoint: page((*Server).pageSignIn)},
	{method: http.MethodPost, path: "/sign-in", who: anybody, endpoint: page((*Server).doSignIn)},
	{method: http.MethodPost, path: "/sign-out", who: signedIn, endpoint: page((*Server).doSignOut)},

	{method: http.MethodGet, path: "/e/:name", who: anybody, endpoint: page((*Server).pagePublic)},
	{method: http.MethodGet, path: "/e/:name/qr.svg", who: anybody, endpoint: raw("image/svg+xml", (*Server).publicCode)},

	{method: http.MethodGet, path: "/", who: signedIn, endpoint: page((*Server).pageEvents)},
	{method: http.MethodGet, path: "/apps", who: signedIn, endpoint: page((*Server).pageApps)},
	{method: http.MethodGet, path: "/apps/:id", who: signedIn, endpoint: page((*Server).pageApp)},
	{method: http.MethodGet, path: "/launch", who: signedIn, endpoint: page((*Server).pageLaunch)},
	{method: http.MethodPost, path: "/launch", who: signedIn, endpoint: page((*Server).doLaunch)},
	{method: http.MethodGet, path: "/operations/:id", who: signedIn, endpoint: page((*Server).pageProgress)},

	{method: http.MethodGet, path: "/events/:id", who: signedIn, endpoint: page((*Server).pageEvent)},
	{method: http.MethodPost, path: "/events/:id/dates", who: signedIn, endpoint: page((*Server).doDates)},
	{method: http.MethodPost, path: "/events/:id/cap", who: signedIn, endpoint: page((*Server).doCap)},
	{method: http.MethodPost, path: "/events/:id/freeze", who: signedIn, endpoint: page((*Server).doFreeze)},
	{method: http.MethodPost, path: "/events/:id/thaw", who: signedIn, endpoint: page((*Server).doThaw)},
	{method: http.MethodPost, path: "/events/:id/end", who: signedIn, endpoint: page((*Server).doEnd)},
	{method: http.MethodPost, path: "/events/:id/purge", who: signedIn, endpoint: page((*Server).doPurge)},
	{method: http.MethodPost, path: "/events/:id/links", who: signedIn, endpoint: page((*Server).doLink)},
	{method: http.MethodPost, path: "/events/:id/links/:link/remove", who: signedIn, endpoint: page((*Server).doRemoveLink)},
	{method: http.MethodGet, path: "/events/:id/receipt", who: signedIn, endpoint: page((*Server).pageReceipt)},
	{method: http.MethodPost, path: "/events/:id/dismiss", who: signedIn, endpoint: page((*Server).doDismiss)},
	{method: http.MethodGet, path: "/events/:id/audit", who: signedIn, endpoint: page((*Server).pageEventAudit)},

	{method: http.MethodGet, path: "/instances", who: signedIn, endpoint: page((*Server).pageInstances)},
	{method: http.MethodGet, path: "/instances/:id", who: signedIn, endpoint: page((*Server).pageInstance)},
	{method: http.MethodPost, path: "/instances/:id/commands", who: signedIn, endpoint: page((*Server).doCommand)},
	{method: http.MethodPost, path: "/instances/:id/discard", who: signedIn, endpoint: page((*Server).doDiscard)},
	{method: http.MethodPost, path: "/instances/:id/paste", who: signedIn, endpoint: page((*Server).doPaste)},
	{method: http.MethodPost, path: "/instances/:id/replace", who: signedIn, endpoint: page((*Server).doReplace)},
	{method: http.MethodPost, path: "/instances/:id/off", who: signedIn, endpoint: page((*Server).doOff)},
	{method: http.MethodGet, path: "/instances/:id/logs/:command", who: signedIn, endpoint: page((*Server).pageLogs)},

	{method: http.MethodGet, path: "/people", who: signedIn, endpoint: page((*Server).pagePeople)},
	{method: http.MethodPost, path: "/people", who: signedIn, endpoint: page((*Server).doAddPerson)},
	{method: http.MethodPost, path: "/people/:id", who: signedIn, endpoint: page((*Server).doChangePerson)},
	{method: http.MethodPost, path: "/people/:id/invite", who: signedIn, endpoint: page((*Server).doInvite)},
	{method: http.MethodGet, path: "/account", who: signedIn, endpoint: page((*Server).pageAccount)},
	{method: http.MethodPost, path: "/account/password", who: signedIn, endpoint: page((*Server).doPassword)},
	{method: http.MethodPost, path: "/account/tokens", who: signedIn, endpoint: page((*Server).doToken)},
	{method: http.MethodPost, path: "/account/tokens/:token/remove", who: signedIn, endpoint: page((*Server).doRemoveToken)},
	{method: http.MethodGet, path: "/audit", who: signedIn, endpoint: page((*Server).pageAudit)},
	{method: http.MethodGet, path: "/settings", who: signedIn, endpoint: page((*Server).pageSettings)},
}
