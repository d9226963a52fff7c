// Package telemetry tells figures in the text format of Prometheus.
//
// It knows none of them: whoever has a figure registers a func that reads it, or
// takes one that counts. Labels have few values, which are known beforehand: a
// pattern of a route, never a path; a reason, never a sentence.
package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The bounds of being asked.
const (
	// maxAsking is how many may ask at once: two of a pair of monitors, and somebody
	// who looks.
	maxAsking = 3
	// askTime ends an answer that cannot be put together in time.
	askTime = 5 * time.Second
)

// buckets are bounds of durations in seconds: our requests take milliseconds, and
// none is waited for longer than half a minute.
var buckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.06, 0.12, 0.25, 0.5, 1, 2.5, 10, 30}

// Metrics are the figures of a process. It is safe for concurrent use. Registering
// a name twice, or one that is none, is a defect and panics.
type Metrics struct{ registry *prometheus.Registry }

// New returns the figures of the Go runtime and of the process, to which others
// are added.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with all figures. One that cannot be read is left out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxAsking, Timeout: askTime,
	})
}

// Counts registers a counter for each combination of the labels' values, and
// returns what counts one more.
func (m *Metrics) Counts(name, help string, labels ...string) func(values ...string) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	if len(labels) == 0 {
		c.WithLabelValues() // it is told as 0 until something is counted
	}
	return func(values ...string) { c.WithLabelValues(values...).Inc() }
}

// Durations registers a histogram of seconds for each combination of the labels'
// values, and returns what adds one.
func (m *Metrics) Durations(name, help string, labels ...string) func(took time.Duration, values ...string) {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	if len(labels) == 0 {
		h.WithLabelValues()
	}
	return func(took time.Duration, values ...string) { h.WithLabelValues(values...).Observe(took.Seconds()) }
}

// Gauge registers a figure that goes up and down, which read returns.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter registers a figure that only grows, which read returns.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// Gauges registers a gauge for each value of the label that read returns, read
// together; nil where they cannot be read now.
func (m *Metrics) Gauges(name, help, label string, read func() map[string]float64) {
	m.registry.MustRegister(family{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.GaugeValue, read})
}

// Counters is Gauges for what only grows.
func (m *Metrics) Counters(name, help, label string, read func() map[string]float64) {
	m.registry.MustRegister(family{prometheus.NewDesc(name, help, []string{label}, nil), prometheus.CounterValue, read})
}

// family is a figure for each value of one label, read when it is asked for.
type family struct {
	about *prometheus.Desc
	kind  prometheus.ValueType
	read  func() map[string]float64
}

// Describe sends what the figures are.
func (f family) Describe(to chan<- *prometheus.Desc) { to <- f.about }

// Collect sends the figures.
func (f family) Collect(to chan<- prometheus.Metric) {
	for label, value := range f.read() {
		to <- prometheus.MustNewConstMetric(f.about, f.kind, value, label)
	}
}
