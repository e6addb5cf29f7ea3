package web

import (
	"net/http"
)

// openRoutes are for whoever comes by.
var openRoutes = []route{
	{method: http.MethodGet, path: "/healthz", who: anybody, endpoint: raw("text/plain", (*Server).health)},
}

var apiRoutes = []route{}

var instanceRoutes = []route{}
