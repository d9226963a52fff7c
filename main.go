// Command connvo is the backend of connvo: one binary that owns one SQLite file
// and answers REST and server-sent events.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // time zones, where the machine has none

	"github.com/alecthomas/kong"
)

// schema is what a fresh database runs.
//
//go:embed schema.sql
var schema string

// version is set by the linker for a release.
var version = "development"

// commands is the command line; every flag is an environment variable too.
type commands struct {
	Serve     serveCommand     `cmd:"" default:"withargs" help:"Serve the API (the default command)."`
	Token     tokenCommand     `cmd:"" help:"Print an access token of a running development server."`
	Tail      tailCommand      `cmd:"" help:"Follow any live GET in the terminal."`
	Snapshots snapshotsCommand `cmd:"" help:"List what can be restored from the replica."`
	Restore   restoreCommand   `cmd:"" help:"Restore the database from its replica, as it is now or was at a moment."`
	Check     checkCommand     `cmd:"" help:"Check the database file: integrity, foreign keys, schema."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// terminal is where a command reads and writes.
type terminal struct {
	out, err io.Writer
}

func main() { os.Exit(run(os.Args[1:], terminal{out: os.Stdout, err: os.Stderr})) }

// run runs a command and returns the exit code. The first SIGINT or SIGTERM
// ends it in order; a second one ends the process at once.
func run(args []string, t terminal) int {
	ctx, stop := untilSignal(os.Interrupt, syscall.SIGTERM)
	defer stop()

	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("connvo"),
		kong.Description("Meetings, matched and live: one binary, one SQLite file."),
		kong.Writers(t.out, t.err),
		kong.Help(help),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(t),
	)
	if err != nil {
		return failed(t, err)
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help has been answered
	}
	if err != nil {
		return failed(t, fmt.Errorf("%w; see connvo --help", err))
	}
	if err := command.Run(); err != nil {
		return failed(t, err)
	}
	return 0
}

// untilSignal returns a context that the first of the signals ends. By then
// another one does what it does to a program that expects none.
func untilSignal(signals ...os.Signal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan os.Signal, 1)
	signal.Notify(first, signals...)
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		select {
		case <-first:
		case <-ctx.Done():
		}
		signal.Stop(first)
		cancel()
	}()
	return ctx, func() { cancel(); <-waiting }
}

// help prints the help of a command; without one, that of serve too, which is
// what runs then.
func help(o kong.HelpOptions, c *kong.Context) error {
	if err := kong.DefaultHelpPrinter(o, c); err != nil || c.Selected() != nil {
		return err
	}
	serve, err := kong.Trace(c.Kong, []string{"serve"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.Stdout); err != nil {
		return err
	}
	return kong.DefaultHelpPrinter(o, serve)
}

func failed(t terminal, err error) int {
	_, _ = fmt.Fprintf(t.err, "connvo: %v\n", err) // there is nowhere else to say it
	return 1
}

type versionCommand struct{}

// Run prints the version and what it was built with.
func (versionCommand) Run(t terminal) error {
	revision := ""
	if info, found := debug.ReadBuildInfo(); found {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
		revision += " " + info.GoVersion
	}
	_, err := fmt.Fprintf(t.out, "connvo %s%s\n", version, revision)
	return err
}
