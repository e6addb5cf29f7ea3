package front

import (
	"cmp"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// params are what a CGI program is told of a request.
func (p *php) params(r *http.Request, s script, length int64) map[string]string {
	m := map[string]string{
		"CONTENT_LENGTH":    "",
		"CONTENT_TYPE":      r.Header.Get("Content-Type"),
		"DOCUMENT_ROOT":     filepath.Join(p.opts.View, filepath.FromSlash(p.tree.publish)),
		"DOCUMENT_URI":      s.urlPath + s.pathInfo,
		"GATEWAY_INTERFACE": "CGI/1.1",
		"HTTP_HOST":         r.Host,
		"QUERY_STRING":      r.URL.RawQuery,
		"REDIRECT_STATUS":   "200", // PHP built with force-cgi-redirect refuses to run without
		"REQUEST_METHOD":    r.Method,
		"REQUEST_SCHEME":    "http",
		"REQUEST_URI":       cmp.Or(r.RequestURI, r.URL.RequestURI()),
		"SCRIPT_FILENAME":   filepath.Join(p.opts.View, filepath.FromSlash(s.name)),
		"SCRIPT_NAME":       s.urlPath,
		"SERVER_PROTOCOL":   r.Proto,
		"SERVER_SOFTWARE":   "popup",
	}
	if length > 0 || r.Header.Get("Content-Type") != "" {
		m["CONTENT_LENGTH"] = strconv.FormatInt(length, 10)
	}
	if s.pathInfo != "" {
		// Without its PATH_TRANSLATED: where cgi.fix_pathinfo is 0, php-fpm runs that
		// file and not SCRIPT_FILENAME, so /index.php/uploads/x.php would run an upload.
		m["PATH_INFO"] = s.pathInfo
	}
	if r.TLS != nil {
		m["HTTPS"], m["REQUEST_SCHEME"] = "on", "https"
	}
	addAddresses(m, r)
	addHeaders(m, r.Header)
	return m
}

func addAddresses(m map[string]string, r *http.Request) {
	m["REMOTE_ADDR"], m["REMOTE_PORT"] = splitHost(r.RemoteAddr)
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		m["SERVER_ADDR"], m["SERVER_PORT"] = splitHost(local.String())
	}
	name, port := splitHost(r.Host)
	m["SERVER_NAME"] = name
	usual := "80"
	if r.TLS != nil {
		usual = "443"
	}
	m["SERVER_PORT"] = cmp.Or(port, usual)
}

func splitHost(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return strings.Trim(address, "[]"), ""
	}
	return host, port
}

// addHeaders turns headers into HTTP_ variables. A name with an underscore is
// left out: it would pass for the one with a hyphen. (The Front has dropped Proxy.)
func addHeaders(m map[string]string, header http.Header) {
	for name, values := range header {
		switch name {
		case "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Host":
			continue
		}
		if strings.ContainsRune(name, '_') {
			continue
		}
		join := ", "
		if name == "Cookie" {
			join = "; "
		}
		m["HTTP_"+strings.ReplaceAll(strings.ToUpper(name), "-", "_")] = strings.Join(values, join)
	}
}
