package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connvo/db"
	"connvo/jobs"
	"connvo/telemetry"
)

const (
	// defaultMetrics is where figures are told when nothing is said, but not in
	// development: several servers may run there.
	defaultMetrics = "127.0.0.1:9090"
	// noMetrics is said where they are told nowhere.
	noMetrics = "off"
	// figureTime bounds the reading of a figure from the database.
	figureTime = time.Second
)

// metricsListen is where figures are told, "" for nowhere.
func (c *serveCommand) metricsListen() string {
	switch {
	case c.MetricsListen == noMetrics, c.MetricsListen == "" && c.WorkOSClientID == "":
		return ""
	case c.MetricsListen == "":
		return defaultMetrics
	}
	return c.MetricsListen
}

// figures registers what the parts tell of themselves.
func (s *service) figures(m *telemetry.Metrics, d *db.DB) {
	m.Counter("connvo_db_writes_total", "Closures that the writer has answered, refused ones included.", func() float64 { return float64(d.Stats().Closures) })
	m.Counter("connvo_db_commits_total", "Transactions that have changed something: writes by commits is the size of a batch.", func() float64 { return float64(d.Stats().Commits) })
	m.Gauge("connvo_db_writes_waiting", "Closures that wait for the writer.", func() float64 { return float64(d.Stats().Queued) })

	engine := s.api.Engine()
	m.Gauge("connvo_live_streams", "Live streams that are open.", func() float64 { return float64(engine.Stats().Streams) })
	m.Counters("connvo_live_runs_total", "Runs of live queries: first ones, later ones after which something was sent, and others.", "outcome", func() map[string]float64 {
		f := engine.Stats()
		return map[string]float64{"first": float64(f.Runs - f.Reruns), "changed": float64(f.Reruns - f.Unchanged), "unchanged": float64(f.Unchanged)}
	})
	m.Counter("connvo_live_shared_total", "Deliveries that took what another stream had read.", func() float64 { return float64(engine.Stats().Shared) })

	said := s.api.Pressure()
	m.Gauge("connvo_transcript_meetings", "Meetings in which something was said in the last ten seconds.", func() float64 { return float64(said.Figures().Meetings) })
	m.Gauge("connvo_transcript_chunks_waiting", "Chunks of transcripts that were taken in and are not durable yet.", func() float64 { return float64(said.Figures().UnderWay) })
	m.Gauge("connvo_transcript_chunks_per_second", "Chunks that became durable in the last ten seconds.", func() float64 { return said.Figures().Rate })
	m.Gauge("connvo_transcript_durable_seconds", "From taking a chunk in until it was durable, on average of the last ten seconds.", func() float64 { return said.Figures().Durable.Seconds() })
	m.Counter("connvo_transcript_refused_total", "Times that chunks had no room among those that wait; lines are tried again.", func() float64 { return float64(said.Figures().Refused) })
	m.Gauge("connvo_transcript_requests", "Requests that are open and send chunks in lines.", func() float64 { return float64(s.api.Intakes()) })

	m.Gauges("connvo_jobs", "Jobs by state; those that run wait too.", "state", func() map[string]float64 { return s.jobFigures(d) })
	m.Gauge("connvo_audit_waiting", "Entries of the record that wait to be stored.", func() float64 { return float64(s.audit.Figures().Waiting) })
	m.Counter("connvo_audit_refused_total", "Entries for which the record had no room.", func() float64 { return float64(s.audit.Figures().Refused) })
	m.Counters("connvo_webhooks_total", "Events of the identity provider, by webhook or from its list, and refused webhooks.", "outcome", func() map[string]float64 {
		f := s.inbox.Figures()
		return map[string]float64{
			"accepted": float64(f.Accepted), "replayed": float64(f.Repeated), "ignored": float64(f.Ignored),
			"unsigned": float64(f.Unsigned), "wrong": float64(f.Wrong), "stale": float64(f.Stale), "unreadable": float64(f.Unreadable),
		}
	})
}

// jobFigures returns how many jobs there are, nil where that cannot be read now.
func (s *service) jobFigures(d *db.DB) map[string]float64 {
	ctx, cancel := context.WithTimeout(context.Background(), figureTime)
	defer cancel()
	var f jobs.Figures
	err := d.Read(ctx, func(tx db.Reader) (err error) {
		f, err = jobs.Count(tx)
		return err
	})
	if err != nil {
		s.log.Warn("the jobs could not be counted", "error", err)
		return nil
	}
	return map[string]float64{"waiting": float64(f.Waiting), "dead": float64(f.Dead), "running": float64(len(s.jobs.Running()))}
}

// teller answers GET /metrics on a listener of its own: figures are for those who
// run the server.
type teller struct {
	server  *http.Server
	stopped chan error // holds why it has stopped
}

// tell begins to tell the figures at the address; "" for nowhere.
func tell(address string, m *telemetry.Metrics, log, startup *slog.Logger) (*teller, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := listen(address)
	if err != nil {
		return nil, fmt.Errorf("--metrics-listen %s: %w; another address, or off", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	t := &teller{stopped: make(chan error, 1), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() { t.stopped <- t.server.Serve(listener) }()
	startup.Info("figures are told", "url", "http://"+listener.Addr().String()+"/metrics")
	return t, nil
}

// close ends the telling, also of what is being told.
func (t *teller) close() error {
	if t == nil {
		return nil
	}
	err := t.server.Close()
	<-t.stopped
	return err
}
