package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"connvo/auth"
	"connvo/domain"
	"connvo/handlers"
	"connvo/replica"
)

// serveCommand is the configuration of the server.
type serveCommand struct {
	Listen string `env:"CONNVO_LISTEN" default:"127.0.0.1:8080" help:"Address and port to listen on; port 0 picks one."`
	DB     string `name:"db" env:"CONNVO_DB" default:"data/connvo.db" help:"The database file; it is made when there is none."`
	elsewhere
	place
	New              bool          `env:"CONNVO_NEW" help:"Begin with an empty database where neither the file nor its replica has one."`
	Lease            string        `env:"CONNVO_LEASE" default:"warn" help:"What a server with a replica does whose lease cannot be renewed: warn goes on, for one machine; strict answers no write, and waits as a standby while another server has the lease."`
	LeaseTerm        time.Duration `env:"CONNVO_LEASE_TERM" hidden:"" default:"30s" help:"How long the lease lasts without a renewal; tests shorten it."`
	Region           string        `env:"CONNVO_REGION,FLY_REGION" default:"loc" help:"The label of this region, in the ids of its meetings."`
	Environment      string        `env:"CONNVO_ENVIRONMENT" default:"production" help:"The name of this deployment: a flag that was changed is as it was set where the name is the same."`
	Demo             toggle        `env:"CONNVO_DEMO" negatable:"" help:"Seed people and a meeting once; on where the development identity provider is on."`
	WorkOSClientID   string        `name:"workos-client-id" env:"WORKOS_CLIENT_ID" help:"The WorkOS client whose people sign in; without it the development identity provider is on."`
	WorkOSAPIKey     string        `name:"workos-api-key" env:"WORKOS_API_KEY" help:"The key of the WorkOS API; required with a WorkOS client, to learn who people are."`
	WorkOSAPIURL     string        `name:"workos-api-url" env:"WORKOS_API_URL" default:"https://api.workos.com" help:"Where WorkOS is: its API, or an emulator."`
	WorkOSIssuers    []string      `name:"workos-issuers" env:"CONNVO_WORKOS_ISSUERS" help:"The issuers whose tokens are believed, such as a custom domain; those that WorkOS documents when left out."`
	CookiePassword   string        `env:"WORKOS_COOKIE_PASSWORD" help:"At least 32 characters that seal the cookies of browsers, which sign in with WorkOS where it is set; another one signs everybody out."`
	WorkOSHookSecret string        `name:"workos-webhook-secret" env:"WORKOS_WEBHOOK_SECRET" help:"The secret of the webhook endpoint in WorkOS that sends its events to /webhooks/workos; without it they are only asked for every five minutes."`
	StreamAdmissions int           `env:"CONNVO_STREAM_ADMISSIONS" default:"100" help:"How many live streams may begin in a second, after a burst of as many; a crowd that comes back waits its turn."`
	RateLimits       string        `env:"CONNVO_RATE_LIMITS" default:"on" help:"on, or off for load tests, which the development identity provider must be on for."`
	PublicURL        string        `name:"public-url" env:"CONNVO_PUBLIC_URL" help:"Where people reach the server, such as https://connvo.example.com; the listener's URL when left out."`
	CORSOrigins      []string      `name:"cors-origins" env:"CONNVO_CORS_ORIGINS" help:"The origins whose pages may use the API with a token or a ticket, such as https://app.example.com."`
	FlyMachine       string        `name:"fly-machine-id" env:"FLY_MACHINE_ID" help:"The machine on Fly.io, which sets it: the proxy before it names the addresses of callers."`
	SMTPURL          string        `name:"smtp-url" env:"CONNVO_SMTP_URL" help:"The SMTP server by which notifications leave: smtp://name:password@host:587?from=address, or smtps://."`
	NotifyWebhook    string        `env:"CONNVO_NOTIFY_WEBHOOK" help:"The URL that is told of notifications to be pushed or sent as short messages, and as mail where there is no SMTP server."`
	NotifyHookSecret string        `name:"notify-webhook-secret" env:"CONNVO_NOTIFY_WEBHOOK_SECRET" help:"What the requests to the webhook are signed with."`
	OpenAIAPIKey     string        `name:"openai-api-key" env:"OPENAI_API_KEY" help:"The key of the OpenAI-compatible endpoint that transcribes speech; with it, or a model, POST /v1/meetings/{id}/audio is on."`
	OpenAIBaseURL    string        `name:"openai-base-url" env:"OPENAI_BASE_URL" default:"https://api.openai.com/v1" help:"Where that endpoint is, its paths without what they have in common."`
	TranscriptModel  string        `name:"transcription-model" env:"CONNVO_TRANSCRIPTION_MODEL" help:"The model that transcribes speech; whisper-1 where a key is set."`
	MetricsListen    string        `name:"metrics-listen" env:"CONNVO_METRICS_LISTEN" help:"Where Prometheus asks for GET /metrics, or off; 127.0.0.1:9090 when left out, and off where the development identity provider is on."`
	LogFormat        string        `env:"CONNVO_LOG_FORMAT" help:"text or json; text on a terminal, else json."`
	LogLevel         string        `env:"CONNVO_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`

	clock func() time.Time // time.Now when nil; drills have it jump
}

// What --lease may be.
const (
	warn   = "warn"
	strict = "strict"
)

// minLeaseTerm leaves time for a renewal.
const minLeaseTerm = time.Second

// maxStreamAdmissions is as good as no limit.
const maxStreamAdmissions = 100_000

// check refuses what is wrong with the configuration, everything at once, a line
// each.
func (c *serveCommand) check() error {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if err := checkListen(c.Listen); err != nil {
		refuse("--listen %q: %w", c.Listen, err)
	} else if err := auth.CheckDevelopment(c.Listen, c.WorkOSClientID); err != nil {
		refuse("--listen: %w", err)
	}
	if c.WorkOSClientID != "" {
		c.checkWorkOS(refuse)
	}
	if err := checkPath(c.DB); err != nil {
		refuse("--db %q: %w", c.DB, err)
	}
	c.checkReplica(refuse)
	if c.Demo != "" && c.Demo != on && c.Demo != off {
		refuse("--demo %q: true or false", c.Demo)
	}
	c.checkDelivery(refuse)
	c.checkRegions(refuse)
	if !domain.IsLabel(c.Environment) {
		refuse("--environment %q: 1 to 16 lower-case letters and digits", c.Environment)
	}
	if c.StreamAdmissions < 1 || c.StreamAdmissions > maxStreamAdmissions {
		refuse("--stream-admissions %d: 1 to %d", c.StreamAdmissions, maxStreamAdmissions)
	}
	if at := c.metricsListen(); at != "" {
		if err := checkListen(at); err != nil {
			refuse("--metrics-listen %q: %w; or off", at, err)
		}
	}
	c.checkBrowsers(refuse)
	c.checkTranscription(refuse)
	if c.RateLimits != "on" && c.RateLimits != "off" {
		refuse("--rate-limits %q: on or off", c.RateLimits)
	} else if c.RateLimits == "off" && c.WorkOSClientID != "" {
		refuse("--rate-limits off: for load tests, so only where the development identity provider is on")
	}
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		refuse("--log-format %q: text or json", c.LogFormat)
	}
	if _, found := logLevels[c.LogLevel]; !found {
		refuse("--log-level %q: debug, info, warn or error", c.LogLevel)
	}
	if len(wrong) > 0 {
		return configError(wrong)
	}
	return nil
}

// checkReplica refuses what is wrong with the replica, and with who may write to it.
func (c *serveCommand) checkReplica(refuse func(format string, args ...any)) {
	if c.ReplicaURL != "" {
		if _, err := replica.ParseTarget(c.ReplicaURL); err != nil {
			refuse("--replica-url: %w", err)
		}
	} else if c.New {
		refuse("--new: it is for an empty replica, and there is no --replica-url")
	}
	if c.Lease != warn && c.Lease != strict {
		refuse("--lease %q: warn or strict", c.Lease)
	} else if c.Lease == strict && c.ReplicaURL == "" {
		refuse("--lease strict: the lease is kept with the replica, and there is no --replica-url")
	}
	if c.LeaseTerm < minLeaseTerm || c.LeaseTerm > replica.DefaultTerm {
		refuse("--lease-term %s: from %s to %s", c.LeaseTerm, minLeaseTerm, replica.DefaultTerm)
	}
}

// checkWorkOS refuses what is wrong where WorkOS signs people in. It shows no
// key, not even a wrong one.
func (c *serveCommand) checkWorkOS(refuse func(format string, args ...any)) {
	if !printable(c.WorkOSClientID) {
		refuse("--workos-client-id %q: letters, digits and signs only, no spaces", c.WorkOSClientID)
	}
	if c.WorkOSAPIKey == "" {
		refuse("--workos-api-key: needed with --workos-client-id, to ask WorkOS who people are; set WORKOS_API_KEY")
	} else if !printable(c.WorkOSAPIKey) {
		refuse("--workos-api-key: letters, digits and signs only, no spaces")
	}
	if c.WorkOSHookSecret != "" && !printable(c.WorkOSHookSecret) {
		refuse("--workos-webhook-secret: letters, digits and signs only, no spaces")
	}
	u, err := url.Parse(c.WorkOSAPIURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		refuse("--workos-api-url: write an http or https URL without a name, a query or a fragment, such as https://api.workos.com")
	}
	for _, issuer := range c.WorkOSIssuers {
		if !printable(issuer) {
			refuse("--workos-issuers %q: write issuers as they stand in tokens, with a comma between them and no spaces", issuer)
		}
	}
	if c.Demo == on {
		refuse("--demo: its people sign in by the development identity provider, which is off with --workos-client-id")
	}
}

// maxOrigins is more than a deployment has, and few enough to be looked through
// for each request.
const maxOrigins = 20

// checkBrowsers refuses what is wrong with how browsers reach the server, and
// what would let their cookies travel in the open, or be guessed.
func (c *serveCommand) checkBrowsers(refuse func(format string, args ...any)) {
	if c.CookiePassword != "" && len(c.CookiePassword) < auth.MinCookiePassword {
		refuse("--cookie-password: at least %d characters, such as those of: openssl rand -base64 32", auth.MinCookiePassword)
	}
	signsIn := c.CookiePassword != "" && c.WorkOSClientID != ""
	if c.PublicURL == "" && signsIn && auth.CheckDevelopment(c.Listen, "") != nil {
		refuse("--public-url: needed with --cookie-password where others than this machine are served, such as https://connvo.example.com")
	}
	if c.PublicURL != "" {
		u, found := site(c.PublicURL)
		if !found {
			refuse("--public-url %q: write scheme and host, such as https://connvo.example.com", c.PublicURL)
		} else if u.Scheme == "http" && signsIn && !auth.LocalHost(u.Host) {
			refuse("--public-url %q: https, because the cookies of --cookie-password travel there; http is for this machine only", c.PublicURL)
		}
	}
	for _, origin := range c.CORSOrigins {
		if err := handlers.CheckOrigin(origin); err != nil {
			refuse("--cors-origins %q: %w", origin, err)
		}
	}
	if len(c.CORSOrigins) > maxOrigins {
		refuse("--cors-origins: %d origins, more than %d", len(c.CORSOrigins), maxOrigins)
	}
}

// site reads a URL of scheme and host alone, with or without a slash at the end, and
// reports whether text is one.
func site(text string) (u *url.URL, found bool) {
	u, err := url.Parse(text)
	return u, err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") &&
		strings.TrimRight(text[len(u.Scheme):], "/") == "://"+u.Host
}

// origin is where browsers reach the server, whose listener is at listening.
func (c *serveCommand) origin(listening string) string {
	return strings.TrimRight(cmp.Or(c.PublicURL, listening), "/")
}

// addressHeader is the header in which the caller's address is believed: Fly's
// proxy sets it whatever the caller sends, and nobody gets around that proxy.
func (c *serveCommand) addressHeader() string {
	if c.FlyMachine == "" {
		return ""
	}
	return "Fly-Client-IP"
}

// printable reports whether s has characters and all are visible ASCII: a line
// break that was copied along with a key would be in no message.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// configError is everything that is wrong with a configuration.
type configError []error

// Error writes a line for each.
func (e configError) Error() string {
	lines := []string{"the configuration is refused:"}
	for _, err := range e {
		lines = append(lines, "  "+err.Error())
	}
	return strings.Join(lines, "\n")
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("write host:port, such as 127.0.0.1:8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("the port is a number from 0 to 65535")
	}
	return nil
}

// checkPath refuses a path at which no database can be, if that can be told
// without making anything.
func checkPath(path string) error {
	if fi, err := os.Stat(path); path == "" || strings.HasSuffix(path, "/") || (err == nil && fi.IsDir()) {
		return errors.New("name a file, such as data/connvo.db")
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		} else if err == nil || dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// demo reports whether the demo is to be seeded: where the development identity
// provider is on, unless it was refused.
func (c *serveCommand) demo() bool { return c.WorkOSClientID == "" && c.Demo != off }

// toggle is on, off, not set, or a word that check refuses.
type toggle string

const (
	on  toggle = "true"
	off toggle = "false"
)

// IsBool makes it a flag that needs no value.
func (*toggle) IsBool() bool { return true }

// Decode takes the value, which check judges together with all others.
func (v *toggle) Decode(c *kong.DecodeContext) error {
	*v = on
	if c.Scan.Peek().Type == kong.FlagValueToken {
		*v = toggle(strings.ToLower(fmt.Sprint(c.Scan.Pop().Value)))
	}
	switch *v {
	case "1", "yes":
		*v = on
	case "0", "no":
		*v = off
	}
	return nil
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// logs returns the log, and the one for what is said whatever the level.
func (c *serveCommand) logs(w io.Writer) (log, startup *slog.Logger) {
	handler := func(level slog.Level) slog.Handler {
		o := &slog.HandlerOptions{Level: level}
		if c.LogFormat == "text" || (c.LogFormat == "" && isTerminal(w)) {
			return slog.NewTextHandler(w, o)
		}
		return slog.NewJSONHandler(w, o)
	}
	return slog.New(handler(logLevels[c.LogLevel])), slog.New(handler(slog.LevelInfo))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}
