package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"connvo/audit"
	"connvo/auth"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/analytics"
	"connvo/domain/connections"
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/insights"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notes"
	"connvo/domain/notifications"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/transcripts"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/handlers"
	"connvo/idempotency"
	"connvo/jobs"
	"connvo/privacy"
	"connvo/ratelimit"
	"connvo/replica"
	"connvo/retention"
	"connvo/telemetry"
)

// The bounds of connections. Bodies and answers have deadlines of their own.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	// drainTime and jobTime are what requests and then jobs under way get after
	// SIGTERM; what hosts wait before they kill is 30 seconds.
	drainTime = 20 * time.Second
	jobTime   = 5 * time.Second
	// recordTime is what is kept for writing down who did what and was seen,
	// however long the jobs have taken.
	recordTime = 2 * time.Second
	// maxProviderConns is how many connections to the identity provider are open
	// at a time: those of newcomers, for a tenth of a second each.
	maxProviderConns = 16
)

// Run serves until ctx ends, then drains and closes everything in reverse.
func (c *serveCommand) Run(ctx context.Context, t terminal) (err error) {
	c.place = c.in(c.Region)
	if err := c.check(); err != nil {
		return err
	}
	log, startup := c.logs(t.err)
	// What people say to each other is nobody else's on this machine.
	if err := os.MkdirAll(filepath.Dir(c.DB), 0o700); err != nil {
		return fmt.Errorf("--db %q: its directory cannot be made: %w", c.DB, err)
	}
	listener, err := listen(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	defer func() { _ = listener.Close() }()

	front := newFront(listener, log)
	defer closing(&err, front.close)
	d, r, err := c.open(ctx, log, front.standing(startup))
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before the database was opened", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer closing(&err, d.Close)
	var s *service
	if r != nil {
		defer func() { closeReplica(r, s, log) }()
	}
	limits, err := c.limits(ctx, d, log)
	if err != nil {
		return err
	}
	if s, err = c.wire(ctx, d, r, limits, log, c.origin("http://"+listener.Addr().String())); err != nil {
		return err
	}
	defer closing(&err, s.close)
	monitor, err := tell(c.metricsListen(), s.metrics, log, startup)
	if err != nil {
		return err
	}
	defer closing(&err, monitor.close)
	if err := s.start(ctx, d); err != nil {
		return err
	}
	return s.serve(ctx, front, func(url string) {
		startup.Info("listening", "url", url, "version", version)
		if isTerminal(t.err) {
			c.welcome(t.err, url)
		}
	})
}

// start begins what is done without being asked.
func (s *service) start(ctx context.Context, d *db.DB) error {
	if err := newSweeper(d).Start(ctx); err != nil {
		return err
	}
	if err := users.ResumeErasures(ctx, d); err != nil {
		return err
	}
	if err := s.inbox.Start(ctx); err != nil {
		return err
	}
	s.jobs.Start()
	s.dictation.start()
	return nil
}

// listen opens the listener, or says what to do about it.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.New("another program listens there; stop it, or choose another port")
	case errors.Is(err, syscall.EACCES):
		return nil, errors.New("this user may not listen there; choose a port above 1023")
	}
	return l, err
}

// welcome tells somebody who has just started a server what to do with it, in
// lines that can be copied.
func (c *serveCommand) welcome(w io.Writer, url string) {
	if !c.demo() {
		return
	}
	at, program := "", os.Args[0]
	if url != defaultURL {
		at = " --url " + url
	}
	if strings.Contains(program, "go-build") {
		program = "go run ." // which builds a program that is gone afterwards
	}
	_, _ = fmt.Fprintf(w, "\nOpen %s in a browser, or follow the demo chat in another terminal:\n\n  %s tail%s --as ada@example.com /v1/meetings/%s/messages\n\n",
		url, program, at, domain.NewMeetingID(c.Region, demoULID)) // the terminal may be gone
}

// defaultURL is where the other commands look for a server.
const defaultURL = "http://127.0.0.1:8080"

// service is everything that runs while the server does.
type service struct {
	log     *slog.Logger
	api     *handlers.Server
	audit   *audit.Log
	jobs    *jobs.Runner
	metrics *telemetry.Metrics
	door
	inbox     *auth.Inbox
	limits    *ratelimit.Limits // nil where there are none
	letters   *delivery
	dictation *dictation
	taken     <-chan struct{} // closed when another server has the lease
	drainedAt time.Time       // when it was told to stop
}

// wire makes the parts and gives each what it needs, from the lowest floor up.
// Browsers reach the server at origin.
func (c *serveCommand) wire(ctx context.Context, d *db.DB, r *replica.Replica, limits *ratelimit.Limits, log *slog.Logger, origin string) (*service, error) {
	figures := analytics.NewStore(d)
	switches := flags.NewStore(d, c.Environment)
	told := insights.NewStore(d, switches, profiles.NewStore(d, interests.NewStore(d)))
	// What the end of a meeting starts, however it ends: a job for each.
	after := []afterEnd{
		{countMeeting, figures.Count},
		{writeInsights, told.Write},
	}
	happened := events.NewLog(follows(after))
	meets := meetings.NewStore(d, happened, c.Region)
	people := users.NewStore(d, claimInvitations(meets))
	record := audit.NewLog(d, log)
	inbox, err := c.inbox(d, people, log)
	if err != nil {
		return nil, err
	}
	letters, err := c.delivery(ctx, d, log)
	if err != nil {
		return nil, err
	}
	runner := jobs.NewRunner(d, log, withSettling(d, happened, withDeletion(d, withSweeps(d, withAll(after, handlersOf(meets, told, inbox, letters))))))
	in, err := c.door(ctx, d, people, log, origin)
	if err != nil {
		return nil, err
	}
	demo, err := c.seed(ctx, in.dev, meets)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	config := stores(d, happened)
	metrics := telemetry.New()
	config.Metrics, config.Regions = metrics, c.regions()
	speech, err := c.dictation(d, metrics, log)
	if err != nil {
		return nil, err
	}
	config.Audio = speech.pieces
	config.Log, config.Version, config.Origins, config.StreamAdmissions = log, version, c.CORSOrigins, c.StreamAdmissions
	config.Auth, config.Browsers, config.Dev, config.Demo = in.tokens, in.browsers, in.dev, demo
	config.Secure, config.AddressHeader, config.Limits = strings.HasPrefix(origin, "https:"), c.addressHeader(), limits
	config.Audit, config.Users, config.Meetings, config.Analytics, config.Inbox = record, people, meets, figures, inbox
	config.Insights, config.Flags, config.Jobs = told, switches, jobs.NewBoard(d, runner.Running, users.RequireAdmin)
	replicated(&config, r)
	api, err := handlers.New(config)
	if err != nil {
		return nil, err
	}
	s := &service{log: log, api: api, audit: record, jobs: runner, metrics: metrics, door: in, inbox: inbox, limits: limits, letters: letters, dictation: speech}
	s.figures(metrics, d)
	if r != nil {
		s.taken = r.Taken()
		leaseFigures(metrics, r)
	}
	return s, nil
}

// stores returns the parts of the API that need no more than the database and the
// log of what happens in meetings.
func stores(d *db.DB, happened *events.Log) handlers.Config {
	return handlers.Config{
		DB:            d,
		Kept:          idempotency.NewStore(expireAnswers),
		Messages:      messages.NewStore(d, happened),
		Notes:         notes.NewStore(d, happened),
		Conversation:  conversation.NewStore(d),
		Transcripts:   transcripts.NewStore(d, happened),
		Notifications: notifications.NewStore(d),
		Connections:   connections.NewStore(d),
		Profiles:      profiles.NewStore(d, interests.NewStore(d)),
		Settings:      settings.NewStore(d),
		Interests:     interests.NewStore(d),
		Retention:     retention.NewStore(d),
		Privacy:       privacy.NewStore(d),
	}
}

// inbox returns what takes the events of WorkOS, where it signs people in. It has
// connections and a breaker of its own: newcomers do not wait for it, nor it for
// them.
func (c *serveCommand) inbox(d *db.DB, people *users.Store, log *slog.Logger) (*auth.Inbox, error) {
	if c.WorkOSClientID == "" {
		return auth.NewInbox(d, people, "", nil, log), nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = 1
	api, err := auth.NewWorkOSDirectory(auth.WorkOSAPI{URL: c.WorkOSAPIURL, Key: c.WorkOSAPIKey, Client: &http.Client{Transport: transport}, Log: log})
	return auth.NewInbox(d, people, c.WorkOSHookSecret, api, log), err
}

// limits returns how often callers may ask, nil where nobody counts.
func (c *serveCommand) limits(ctx context.Context, d *db.DB, log *slog.Logger) (*ratelimit.Limits, error) {
	if c.RateLimits == "off" {
		return nil, nil
	}
	return ratelimit.New(ctx, ratelimit.Config{DB: d, Log: log})
}

// identity is who says whom a token speaks for.
type identity struct {
	config    auth.Config // of the tokens
	directory auth.Directory
	kit       *auth.AuthKit     // nil where it signs no browsers in
	dev       *auth.DevProvider // nil where WorkOS signs people in
}

// identity returns WorkOS where a client is configured, else the development
// identity provider. WorkOS signs browsers in where a cookie password is set.
func (c *serveCommand) identity(ctx context.Context, d *db.DB, people *users.Store, log *slog.Logger, origin string) (identity, error) {
	if c.WorkOSClientID == "" {
		dev, err := auth.NewDevProvider(ctx, d, people)
		if err != nil {
			return identity{}, err
		}
		return identity{config: dev.Config(d.Now), directory: dev, dev: dev}, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = maxProviderConns
	tokens := auth.WorkOSConfig(c.WorkOSAPIURL, c.WorkOSClientID)
	tokens.Client, tokens.Now, tokens.Log = &http.Client{Transport: transport}, d.Now, log
	if len(c.WorkOSIssuers) > 0 {
		tokens.Issuers = c.WorkOSIssuers
	}
	api := auth.WorkOSAPI{URL: c.WorkOSAPIURL, Key: c.WorkOSAPIKey, Client: tokens.Client, Log: log}
	directory, err := auth.NewWorkOSDirectory(api)
	if err != nil || c.CookiePassword == "" {
		return identity{config: tokens, directory: directory}, err
	}
	kit, err := auth.NewAuthKit(api, c.WorkOSClientID, origin)
	return identity{config: tokens, directory: directory, kit: kit}, err
}

// serve answers requests until ctx ends, then lets those under way finish.
func (s *service) serve(ctx context.Context, front *front, listening func(url string)) error {
	front.answer(s.api)
	listening("http://" + front.listener.Addr().String())
	select {
	case err := <-front.stopped:
		return fmt.Errorf("serve: %w", err)
	case <-s.taken:
		// Whatever is answered from now on may be wrong, and nothing of it is kept.
		s.api.Drain()
		return errors.Join(errTaken, front.server.Close())
	case <-ctx.Done():
	}
	s.drainedAt = time.Now()
	s.log.Info("draining")
	s.api.Drain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := front.server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "after", drainTime)
		err = front.server.Close()
	}
	s.log.Info("stopped")
	return err
}

// close ends what serves requests, then what runs besides them.
func (s *service) close() error {
	s.api.Close()
	working, cancel := context.WithTimeout(context.Background(), jobTime)
	defer cancel()
	s.browsers.Close(working)
	if err := s.jobs.Stop(working); err != nil {
		s.log.Warn("jobs were cut off; they run again at the next start", "error", err)
	}
	s.dictation.close(working)
	writing, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := s.audit.Close(writing); err != nil {
		s.log.Error("the record of who did what is incomplete", "error", err)
	}
	if err := s.seen.Close(writing); err != nil {
		s.log.Warn("when people were last seen was not stored", "error", err)
	}
	if s.limits != nil {
		if err := s.limits.Close(writing); err != nil {
			s.log.Warn("rate limits were not stored", "error", err)
		}
	}
	s.verifier.Close()
	s.inbox.Close()
	s.letters.close()
	s.config.Client.CloseIdleConnections()
	return nil
}

// closing closes something when a function ends, and keeps its error.
func closing(err *error, close func() error) { *err = errors.Join(*err, close()) }
