package launcher

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"popup/datasync"
)

// told is a status with a value for everything.
func told() Status {
	at := time.Date(2026, 5, 1, 12, 0, 0, 500e6, time.UTC)
	return Status{
		App: "board", Instance: "fair-7\"\n\xff", Version: "1.2", URL: "http://user:hush@host/", Since: at, Live: true, Healthy: true, Why: "hush",
		Restarts: 3, Requests: 1 << 40, Errors: 5, End: &EndStatus{At: at, Step: "running"}, Serving: &Serving{},
		Service: &datasync.Status{Source: "https://host/hush"},
		Data: &datasync.Status{
			Source: "https://host/hush", Serving: "one", Since: at, Wanted: "two", LastTry: at, LastSuccess: at, LastError: "hush", ErrorClass: datasync.ClassDNS,
			Confirmed: at, Age: 90, StaleAt: at, NextTry: at, Requests: 7, BytesIn: 306, BytesOut: 250, Held: "one", Refused: make([]datasync.Refusal, 2),
		},
	}
}

func askMetrics(t *testing.T, s Status, accept string) (body, kind string) {
	t.Helper()
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	metricsHandler(func() Status { return s }).ServeHTTP(w, request)
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("it answers %d %v: %s", w.Code, err, text)
	}
	return string(text), w.Header().Get("Content-Type")
}

func TestMetricsSayWhatTheStatusSays(t *testing.T) {
	text, _ := askMetrics(t, told(), "text/plain")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	got := map[string]float64{}
	for name, family := range families {
		if family.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	at := 1777636800.5
	for series, want := range map[string]float64{
		"popup_info{app=board,instance=fair-7\"\n?,version=1.2}": 1,
		"popup_start_timestamp_seconds{}":                        at,
		"popup_live{}":                                           1,
		"popup_healthy{}":                                        1,
		"popup_read_only{}":                                      0,
		"popup_app_restarts_total{}":                             3,
		"popup_http_requests_total{}":                            1 << 40,
		"popup_http_errors_total{}":                              5,
		"popup_end_timestamp_seconds{}":                          at,
		"popup_sync_serving_info{revision=one,stream=data}":      1,
		"popup_sync_wanted_info{revision=two,stream=data}":       1,
		"popup_sync_age_seconds{stream=data}":                    90,
		"popup_sync_serving_timestamp_seconds{stream=data}":      at,
		"popup_sync_last_try_timestamp_seconds{stream=data}":     at,
		"popup_sync_last_success_timestamp_seconds{stream=data}": at,
		"popup_sync_next_try_timestamp_seconds{stream=data}":     at,
		"popup_sync_stale_timestamp_seconds{stream=data}":        at,
		"popup_sync_error{class=dns,stream=data}":                1,
		"popup_sync_error{class=tls,stream=data}":                0,
		"popup_sync_error{class=dns,stream=service}":             0,
		"popup_sync_held{stream=data}":                           1,
		"popup_sync_held{stream=service}":                        0,
		"popup_sync_refused_revisions{stream=data}":              2,
		"popup_sync_requests_total{stream=data}":                 7,
		"popup_sync_received_bytes_total{stream=data}":           306,
		"popup_sync_sent_bytes_total{stream=data}":               250,
		"popup_sync_requests_total{stream=service}":              0,
	} {
		if value, ok := got[series]; !ok || math.Abs(value-want) > 1e-3 {
			t.Errorf("%s is %v, there %v; want %v", series, value, ok, want)
		}
	}
	for _, absent := range []string{"popup_sync_age_seconds{stream=service}", "popup_sync_next_try_timestamp_seconds{stream=service}"} {
		if value, ok := got[absent]; ok {
			t.Errorf("%s is %v though it is not known", absent, value)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("it tells what is not for everybody:\n%s", text)
	}
}

// TestMetricsAreOpenMetrics: each family is described before its samples, counters
// end in _total, names carry units, and the end is marked.
func TestMetricsAreOpenMetrics(t *testing.T) {
	text, kind := askMetrics(t, told(), "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") {
		t.Errorf("it is of the type %s", kind)
	}
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 {
		t.Errorf("it does not end as OpenMetrics does:\n%s", text)
	}
	described := map[string]string{}
	var order []string
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		fields := strings.Fields(line)
		switch {
		case line == "# EOF":
		case strings.HasPrefix(line, "# HELP "):
			order = append(order, fields[2])
		case strings.HasPrefix(line, "# TYPE "):
			if len(order) == 0 || order[len(order)-1] != fields[2] {
				t.Errorf("%q has no help before it", line)
			}
			described[fields[2]] = fields[3]
		default:
			name, _, _ := strings.Cut(fields[0], "{")
			family := strings.TrimSuffix(name, "_total")
			if kind := described[family]; (kind == "counter") != (family != name) || kind == "" {
				t.Errorf("%q is of %s, a %q", line, family, kind)
			}
			if order[len(order)-1] != family {
				t.Errorf("%q stands among %s", line, order[len(order)-1])
			}
		}
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(order))); len(unique) != len(order) || len(order) < 20 {
		t.Errorf("families are %v", order)
	}
}
