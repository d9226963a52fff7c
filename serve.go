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
	"connvo/domain/conversation"
	"connvo/domain/events"
	"connvo/domain/interests"
	"connvo/domain/meetings"
	"connvo/domain/messages"
	"connvo/domain/notifications"
	"connvo/domain/profiles"
	"connvo/domain/settings"
	"connvo/domain/users"
	"connvo/flags"
	"connvo/handlers"
	"connvo/idempotency"
	"connvo/jobs"
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

	d, err := db.Open(ctx, db.Options{Path: c.DB, Schema: schema, Log: log})
	if err != nil {
		return err
	}
	defer closing(&err, d.Close)
	s, err := c.wire(ctx, d, log)
	if err != nil {
		return err
	}
	defer closing(&err, s.close)
	s.jobs.Start()
	return s.serve(ctx, listener, func(url string) {
		startup.Info("listening", "url", url, "version", version)
		if isTerminal(t.err) {
			c.welcome(t.err, url)
		}
	})
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
	log      *slog.Logger
	api      *handlers.Server
	audit    *audit.Log
	jobs     *jobs.Runner
	verifier *auth.Verifier
	seen     *auth.LastSeen
	provider *http.Client // to the identity provider
	letters  *delivery
}

// wire makes the parts and gives each what it needs, from the lowest floor up.
func (c *serveCommand) wire(ctx context.Context, d *db.DB, log *slog.Logger) (*service, error) {
	figures := analytics.NewStore(d)
	// What the end of a meeting starts, however it ends: a job for each.
	after := []afterEnd{
		{countMeeting, figures.Count},
	}
	happened := events.NewLog(map[events.Type][]events.Follow{
		events.MeetingCreated:         {notifications.Follow},
		events.MeetingUpdated:         {watchForAbandonment, notifications.Follow},
		events.MeetingStarted:         {watchForAbandonment, messages.Announce, notifications.Follow},
		events.MeetingEnded:           append(startAll(after), conversation.Close, messages.Announce),
		events.MeetingCancelled:       {notifications.Follow},
		events.MeetingTransferred:     {notifications.Follow},
		events.ParticipantInvited:     {notifications.Follow},
		events.ParticipantClaimed:     {notifications.Follow},
		events.ParticipantRoleChanged: {notifications.Follow},
		events.ParticipantJoined:      {messages.Announce},
		events.ParticipantLeft:        {messages.Announce},
	})
	letters, err := c.delivery(ctx, d, log)
	if err != nil {
		return nil, err
	}
	meets := meetings.NewStore(d, happened, c.Region)
	people, chat := users.NewStore(d, claimInvitations(meets)), messages.NewStore(d, happened)
	kept := idempotency.NewStore(expireAnswers)
	record := audit.NewLog(d, log)
	runner := jobs.NewRunner(d, log, withAll(after, map[string]jobs.Handler{
		endAbandoned: endAbandonedMeeting(meets),
		claimMore:    claimMoreInvitations(meets),
		expireDay:    expireAnswersOf,

		notifications.TellRest: effect(notifications.TellMembers),
		notifications.Starting: effect(notifications.TellStarting),
		notifications.Expire:   effect(notifications.DeleteUntil),
		notifications.Send:     letters.send,
	}))

	id, err := c.identity(ctx, d, people, log)
	if err != nil {
		return nil, err
	}
	verifier, err := auth.NewVerifier(ctx, id.tokens)
	if err != nil {
		return nil, err
	}
	demo, err := c.seed(ctx, id.dev, meets)
	if err != nil {
		return nil, err
	}
	seen := auth.NewLastSeen(people, d.Now, log)
	api, err := handlers.New(handlers.Config{
		DB: d, Log: log, Auth: auth.NewAuthenticator(verifier, people, id.directory, seen), Audit: record, Kept: kept,
		Users: people, Meetings: meets, Messages: chat, Flags: flags.NewStore(d, c.Environment), Jobs: jobs.NewBoard(d, runner.Running, users.RequireAdmin),
		Notifications: notifications.NewStore(d), Conversation: conversation.NewStore(d), Analytics: figures, Version: version, Dev: id.dev, Demo: demo,
		Profiles: profiles.NewStore(d, interests.NewStore(d)), Settings: settings.NewStore(d), Interests: interests.NewStore(d),
		StreamAdmissions: c.StreamAdmissions,
	})
	if err != nil {
		return nil, err
	}
	return &service{log: log, api: api, audit: record, jobs: runner, verifier: verifier, seen: seen, provider: id.tokens.Client, letters: letters}, nil
}

// seed makes the demo where it is on, and returns its meeting, else "".
func (c *serveCommand) seed(ctx context.Context, dev *auth.DevProvider, meets *meetings.Store) (demo domain.MeetingID, err error) {
	if c.demo() {
		if demo, err = seedDemo(ctx, c.Region, dev, meets); err != nil {
			err = fmt.Errorf("demo: %w", err)
		}
	}
	return demo, err
}

// identity is who says whom a token speaks for.
type identity struct {
	tokens    auth.Config
	directory auth.Directory
	dev       *auth.DevProvider // nil where WorkOS signs people in
}

// identity returns WorkOS where a client is configured, else the development
// identity provider.
func (c *serveCommand) identity(ctx context.Context, d *db.DB, people *users.Store, log *slog.Logger) (identity, error) {
	if c.WorkOSClientID == "" {
		dev, err := auth.NewDevProvider(ctx, d, people)
		if err != nil {
			return identity{}, err
		}
		return identity{tokens: dev.Config(d.Now), directory: dev, dev: dev}, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = maxProviderConns
	tokens := auth.WorkOSConfig(c.WorkOSAPIURL, c.WorkOSClientID)
	tokens.Client, tokens.Now, tokens.Log = &http.Client{Transport: transport}, d.Now, log
	if len(c.WorkOSIssuers) > 0 {
		tokens.Issuers = c.WorkOSIssuers
	}
	directory, err := auth.NewWorkOSDirectory(auth.WorkOSAPI{URL: c.WorkOSAPIURL, Key: c.WorkOSAPIKey, Client: tokens.Client, Log: log})
	return identity{tokens: tokens, directory: directory}, err
}

// serve answers requests until ctx ends, then lets those under way finish.
func (s *service) serve(ctx context.Context, listener net.Listener, listening func(url string)) error {
	server := &http.Server{
		Handler:           s.api,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	listening("http://" + listener.Addr().String())
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.log.Info("draining")
	s.api.Drain()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "after", drainTime)
		err = server.Close()
	}
	s.log.Info("stopped")
	return err
}

// close ends what serves requests, then what runs besides them.
func (s *service) close() error {
	s.api.Close()
	working, cancel := context.WithTimeout(context.Background(), jobTime)
	defer cancel()
	if err := s.jobs.Stop(working); err != nil {
		s.log.Warn("jobs were cut off; they run again at the next start", "error", err)
	}
	writing, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := s.audit.Close(writing); err != nil {
		s.log.Error("the record of who did what is incomplete", "error", err)
	}
	if err := s.seen.Close(writing); err != nil {
		s.log.Warn("when people were last seen was not stored", "error", err)
	}
	s.verifier.Close()
	s.provider.CloseIdleConnections()
	s.letters.close()
	return nil
}

// closing closes something when a function ends, and keeps its error.
func closing(err *error, close func() error) { *err = errors.Join(*err, close()) }
