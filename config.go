package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"connvo/auth"
)

// serveCommand is the configuration of the server.
type serveCommand struct {
	Listen         string `env:"CONNVO_LISTEN" default:"127.0.0.1:8080" help:"Address and port to listen on; port 0 picks one."`
	DB             string `name:"db" env:"CONNVO_DB" default:"data/connvo.db" help:"The database file; it is made when there is none."`
	Region         string `env:"CONNVO_REGION,FLY_REGION" default:"loc" help:"The label of this region, in the ids of its meetings."`
	Demo           *bool  `env:"CONNVO_DEMO" negatable:"" help:"Seed people and a meeting once; on where the development identity provider is on."`
	WorkOSClientID string `name:"workos-client-id" env:"WORKOS_CLIENT_ID" help:"The WorkOS client whose people sign in; without it the development identity provider is on."`
	LogFormat      string `env:"CONNVO_LOG_FORMAT" help:"text or json; text on a terminal, else json."`
	LogLevel       string `env:"CONNVO_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
}

// regionLabel is short and needs no escaping in an id, a URL or a file's name.
var regionLabel = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// check refuses what is wrong with the configuration, everything at once, a line
// each.
func (c *serveCommand) check() error {
	var wrong []error
	refuse := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if err := checkListen(c.Listen); err != nil {
		refuse("--listen %q: %w", c.Listen, err)
	} else if err := auth.CheckDevelopment(c.Listen, c.WorkOSClientID); err != nil {
		refuse("--listen %s: %w", c.Listen, err)
	}
	if c.WorkOSClientID != "" {
		refuse("--workos-client-id: this build signs people in by its development identity provider only; leave it out")
	}
	if fi, err := os.Stat(c.DB); c.DB == "" || (err == nil && fi.IsDir()) {
		refuse("--db %q: name a file", c.DB)
	} else if parent, err := os.Stat(filepath.Dir(c.DB)); err == nil && !parent.IsDir() {
		refuse("--db %q: %s is not a directory", c.DB, filepath.Dir(c.DB))
	}
	if !regionLabel.MatchString(c.Region) {
		refuse("--region %q: 1 to 16 lower-case letters and digits", c.Region)
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

// demo reports whether the demo is to be seeded: unless it was refused.
func (c *serveCommand) demo() bool { return c.Demo == nil || *c.Demo }

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
