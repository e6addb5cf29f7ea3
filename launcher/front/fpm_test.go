package front

import (
	"net/http"
	"testing"

	"popup/internal/testutil"
)

type fpm struct{ *testutil.FPM }

func startFPM(t *testing.T, processes int) fpm {
	t.Helper()
	return fpm{testutil.NewFPM(t, processes, "php_admin_value[cgi.fix_pathinfo] = 0", "php_admin_value[display_errors] = 0", "php_admin_value[log_errors] = 1",
		"php_admin_value[post_max_size] = 64M", "php_admin_value[upload_max_filesize] = 64M", "php_admin_value[realpath_cache_ttl] = 120")}
}

func (f fpm) handler(t testing.TB, view string, o PHPOptions) http.Handler {
	t.Helper()
	o.Address, o.View, o.Release = f.Socket, view, openRoot(t, view)
	h, err := PHP(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
