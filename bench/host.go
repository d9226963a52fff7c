package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// host provides each scenario with a server: the one given, or a fresh one.
type host struct {
	*options
	dir      string // for what is built and stored
	bin      string
	given    *target // nil when servers are started
	runs     int
	progress io.Writer
}

// prepare builds the server unless one is given.
func (h *host) prepare(ctx context.Context) error {
	if h.URL != "" {
		addr, err := parseURL(h.URL)
		h.given = &target{addr: addr, pid: h.PID}
		return err
	}
	if h.bin = h.Bin; h.bin != "" {
		return nil
	}
	fmt.Fprintln(h.progress, "building the server …")
	var err error
	h.bin, err = build(ctx, h.dir)
	return err
}

// environment is what started servers are configured with by name: one that does not know a variable passes it over.
func (h *host) environment() []string {
	env := []string{"CONNVO_RATE_LIMITS=off"}
	if h.Admissions > 0 {
		env = append(env, "CONNVO_STREAM_ADMISSIONS="+strconv.Itoa(h.Admissions))
	}
	return env
}

// perform runs one scenario; a server started for it has ended when it returns.
func (h *host) perform(ctx context.Context, s scenario) (res result, err error) {
	fmt.Fprintln(h.progress, s.name(), "…")
	if h.given != nil {
		return s.measure(ctx, h.given)
	}
	h.runs++
	dir := filepath.Join(h.dir, strconv.Itoa(h.runs))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return result{Scenario: s.name()}, err
	}
	srv := newServer(h.bin, dir, h.ServerArg, h.environment())
	t := &target{}
	if err := srv.start(ctx, t); err != nil {
		return result{Scenario: s.name()}, err
	}
	t.power = &power{off: srv.stop, on: func(ctx context.Context) error { return srv.start(ctx, t) }}
	defer func() {
		err = errors.Join(err, srv.stop())
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	return s.measure(ctx, t)
}
