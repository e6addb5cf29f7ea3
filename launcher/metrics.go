package launcher

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"popup/datasync"
)

// metricsHandler answers with what status says, as OpenMetrics or as the older
// text, whichever is asked for. It names no address.
func metricsHandler(status func() Status) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector(status))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// A collector reads a status whenever it is asked.
type collector func() Status

// Describe names nothing ahead: which metrics there are depends on the app.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, m := c(), metrics(ch)
	m.gauge("popup_info", "What runs here; always 1.", 1, "app", s.App, "instance", s.Instance, "version", s.Version)
	m.time("popup_start_timestamp_seconds", "When popup was started.", s.Since)
	m.truth("popup_live", "Whether a checked app is being served.", s.Live)
	m.truth("popup_healthy", "Whether the app passed its last health check and its data is fresh.", s.Healthy)
	m.truth("popup_read_only", "Whether writes are refused.", s.ReadOnly)
	m.counter("popup_app_restarts_total", "How often the app was started again.", int64(s.Restarts))
	m.counter("popup_http_requests_total", "Requests that were answered.", s.Requests)
	m.counter("popup_http_errors_total", "Requests that were answered with 500 or above.", s.Errors)
	if s.End != nil {
		m.time("popup_end_timestamp_seconds", "When the instance is over.", s.End.At)
	}
	for _, stream := range []struct {
		name   string
		status *datasync.Status
	}{{"service", s.Service}, {"data", s.Data}} {
		if stream.status != nil {
			m.stream(stream.name, *stream.status)
		}
	}
}

// metrics are written to a registry that gathers them.
type metrics chan<- prometheus.Metric

// stream tells how the releases or the revisions are doing.
func (m metrics) stream(name string, s datasync.Status) {
	at := []string{"stream", name}
	if s.Serving != "" {
		m.gauge("popup_sync_serving_info", "What is served; always 1.", 1, append(at, "revision", string(s.Serving))...)
		m.gauge("popup_sync_age_seconds", "How long ago what is served was last known to be what is wanted.", float64(s.Age), at...)
	}
	if s.Wanted != "" {
		m.gauge("popup_sync_wanted_info", "What is to be served; always 1.", 1, append(at, "revision", string(s.Wanted))...)
	}
	m.time("popup_sync_serving_timestamp_seconds", "When what is served became current.", s.Since, at...)
	m.time("popup_sync_last_try_timestamp_seconds", "When the source was last asked.", s.LastTry, at...)
	m.time("popup_sync_last_success_timestamp_seconds", "When asking it last went well.", s.LastSuccess, at...)
	m.time("popup_sync_next_try_timestamp_seconds", "When it is asked next, also after a failure.", s.NextTry, at...)
	m.time("popup_sync_stale_timestamp_seconds", "When what is served is too old, unless a try goes well before.", s.StaleAt, at...)
	for _, class := range datasync.ErrorClasses() {
		m.truth("popup_sync_error", "Whether the last try failed, by the class of its error.", s.ErrorClass == class, append(at, "class", class)...)
	}
	m.truth("popup_sync_held", "Whether a person keeps it from going forward.", s.Held != "", at...)
	m.gauge("popup_sync_refused_revisions", "How many revisions are remembered as refused.", float64(len(s.Refused)), at...)
	m.counter("popup_sync_requests_total", "Requests to the source.", s.Requests, at...)
	m.counter("popup_sync_received_bytes_total", "Bytes from the source, on its connections.", s.BytesIn, at...)
	m.counter("popup_sync_sent_bytes_total", "Bytes to the source, on its connections.", s.BytesOut, at...)
}

// gauge adds a metric; labels are names and values in turn.
func (m metrics) gauge(name, help string, value float64, labels ...string) {
	m.add(prometheus.GaugeValue, name, help, value, labels)
}

func (m metrics) counter(name, help string, n int64, labels ...string) {
	m.add(prometheus.CounterValue, name, help, float64(n), labels)
}

func (m metrics) truth(name, help string, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	m.gauge(name, help, value, labels...)
}

// time adds a moment, in seconds since 1970; one that has not come is left out.
func (m metrics) time(name, help string, at time.Time, labels ...string) {
	if !at.IsZero() {
		m.gauge(name, help, float64(at.UnixMilli())/1000, labels...)
	}
}

func (m metrics) add(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, strings.ToValidUTF8(labels[i+1], "?"))
	}
	m <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}

// listenMetrics opens the listener that the plan gives to metrics; nil: it gives none.
func (a *Appliance) listenMetrics() (net.Listener, error) {
	address := a.opts.Plan.Serve.Metrics
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w; give serve.metrics in the config another address", address, err)
	}
	a.log.Info("metrics", "address", "http://"+reachable(l.Addr())+"/metrics")
	return l, nil
}

// metricsServer answers /metrics, and nothing else.
func (a *Appliance) metricsServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(a.now))
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return a.ctx }}
}
