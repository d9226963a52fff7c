package handlers

import (
	"context"
	"log/slog"
	"time"

	"connvo/audit"
	"connvo/auth"
	"connvo/db"
	"connvo/domain"
	"connvo/domain/analytics"
	"connvo/domain/audio"
	"connvo/domain/connections"
	"connvo/domain/conversation"
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
	"connvo/idempotency"
	"connvo/jobs"
	"connvo/privacy"
	"connvo/ratelimit"
	"connvo/retention"
	"connvo/telemetry"
)

// Config is what a Server is made of. DB to Inbox are required.
type Config struct {
	DB       *db.DB
	Log      *slog.Logger
	Auth     *auth.Authenticator
	Browsers *auth.Browsers
	Audit    *audit.Log
	Kept     *idempotency.Store
	Users    *users.Store
	Meetings *meetings.Store
	Messages *messages.Store
	Notes    *notes.Store
	Flags    *flags.Store
	Jobs     *jobs.Board
	Version  string
	// Notifications is what people are told.
	Notifications *notifications.Store
	// Connections is what people are to one another.
	Connections *connections.Store
	// Conversation and Analytics are the meetings while they run and afterwards.
	Conversation *conversation.Store
	Analytics    *analytics.Store
	// Transcripts is what is said in them.
	Transcripts *transcripts.Store
	// Insights is what people are told about meetings that are over.
	Insights *insights.Store
	// Audio takes in what is to be transcribed; nil where nothing is.
	Audio *audio.Store
	// Retention is how long organizations keep things.
	Retention *retention.Store
	// Privacy is what people are told that is stored about them.
	Privacy *privacy.Store
	// Profiles, Settings and Interests are what people tell about themselves.
	Profiles  *profiles.Store
	Settings  *settings.Store
	Interests *interests.Store
	// Replicated returns when the replica of the database holds everything that was
	// committed before, or with an error when ctx ends; nil where there is none.
	Replicated func(ctx context.Context) error
	// Replication is how copying the database goes, from memory; nil where there is no
	// replica.
	Replication func() Replication
	// Inbox takes webhooks of WorkOS.
	Inbox *auth.Inbox
	// Dev is the development identity provider, nil in production.
	Dev *auth.DevProvider
	// Regions is where the meetings of other regions are.
	Regions Regions
	// Demo is the meeting that the first page shows, "" for none.
	Demo domain.MeetingID
	// Metrics take the figures of requests; nil for nobody.
	Metrics *telemetry.Metrics
	// Limits are how often callers may ask; nil for no limits.
	Limits *ratelimit.Limits
	// AddressHeader is the header in which a proxy that nobody can go around names
	// the caller's address; "" where the peer is the caller.
	AddressHeader string
	// Origins are those whose pages may use the API, each as CheckOrigin wants it.
	Origins []string
	// Secure says that people reach the server over https only, and their cookies
	// travel there only.
	Secure bool
	// Second is the unit of heartbeats, a second when 0; tests shorten it.
	Second time.Duration
	// BodyTimeout ends a request whose body does not arrive; DefaultBodyTimeout
	// when 0.
	BodyTimeout time.Duration
	// LineTimeout ends a request that sends lines and has sent none for so long;
	// DefaultLineTimeout when 0.
	LineTimeout time.Duration
	// StreamAdmissions and StreamTimeout are realtime.Config's Admissions and
	// WriteTimeout.
	StreamAdmissions int
	StreamTimeout    time.Duration
}
