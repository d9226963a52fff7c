// Command bench is the load generator: it drives a running connvo over HTTP as its users do, and checks
// while it measures.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// options is the command line.
type options struct {
	URL        string        `placeholder:"URL" help:"Server to drive, with the development identity provider. Without it, one is built and started on a fresh database for each scenario."`
	PID        int           `help:"Process id of the server at --url, for its CPU time and memory."`
	Bin        string        `type:"existingfile" placeholder:"FILE" help:"Server program to start instead of building one."`
	ServerArg  []string      `sep:"none" placeholder:"ARG" help:"Further argument for the server that is started; may be repeated."`
	Dir        string        `type:"existingdir" help:"Where to put the fresh databases; the directory for temporary files when empty."`
	Admissions int           `default:"2000" help:"Streams a second that a started server lets in (CONNVO_STREAM_ADMISSIONS); 0 leaves it what it is by default."`
	JSON       string        `type:"path" placeholder:"FILE" help:"Write the results to this file too."`
	Limit      time.Duration `default:"15m" help:"Give up after this time."`

	All          all          `cmd:"" default:"1" help:"All of the following, short, against the figures to hold (the default)."`
	Creates      creates      `cmd:"" help:"Post messages as fast as the server answers, many at once."`
	Lone         lone         `cmd:"" help:"Post one message after the other."`
	Reads        reads        `cmd:"" help:"Get meetings and messages while posts go on."`
	Fanout       fanout       `cmd:"" help:"Post into one meeting that many streams follow."`
	Meetings     meetings     `cmd:"" help:"Follow many meetings, each by five streams, while people post, read, join and leave."`
	Live         live         `cmd:"" help:"The same with one connection for each person that carries the five."`
	Transcript   transcript   `cmd:"" help:"Send chunks of transcripts into many meetings, each followed by live streams."`
	Participants participants `cmd:"" help:"Let people join and leave a meeting whose participants many streams watch."`
	Revoke       revoke       `cmd:"" help:"Let people leave a meeting while they follow its messages: what they still get, and for how long."`
	Slow         slow         `cmd:"" help:"Post into a meeting that many read, beside some who open a stream and never read it."`
	Storm        storm        `cmd:"" help:"Cut all connections at once, and let them come back at once."`
	Return       returning    `cmd:"" help:"End the server under many streams, start it again, and let all of them come back."`
	Churn        churn        `cmd:"" help:"Let connections come and go in every way, and see what the server keeps of them."`
	Presence     presence     `cmd:"" help:"Let people say that they are here, and follow who else is."`
	Notes        notes        `cmd:"" help:"Let people write the notes of one meeting together."`
	Idle         idle         `cmd:"" help:"Hold streams on which nothing happens."`
}

// scenario is one kind of load.
type scenario interface {
	name() string
	measure(ctx context.Context, t *target) (result, error)
}

// all is every scenario in turn.
type all struct{}

func (all) scenarios() []scenario {
	thousand := busy{Meetings: 1_000, Rate: 1, Duration: 10 * time.Second, Users: 200}
	mixed := thousand
	mixed.Rate, mixed.Gets, mixed.Writes = 0.1, 500, 200 // 300 writes a second in all
	return []scenario{
		creates{Messages: 30_000, InFlight: 500, Users: 50, Meetings: 10},
		creates{Messages: 20_000, InFlight: 500, Users: 50, Meetings: 10, Key: true},
		lone{Messages: 1_000},
		reads{Callers: 100, Writes: 50, Duration: 5 * time.Second, Users: 50, Meetings: 10},
		fanout{Streams: 100, Rate: 5, Duration: 10 * time.Second},
		meetings{thousand},
		meetings{mixed},
		live{thousand},
		transcript{Meetings: 1_000, Rate: 10, Batch: 10, Streams: 3, Duration: 10 * time.Second, Users: 200},
		transcript{Meetings: 1, Rate: 100, Batch: 1, Streams: 50, Duration: 10 * time.Second, Users: 50},
		participants{People: 50, Each: 20, Commits: 20, Rate: 2},
		revoke{Streams: 200, Each: 2, Rate: 20, Duration: 5 * time.Second},
		slow{Streams: 1_000, Stuck: 10, Rate: 5, Size: 4_000, Before: 5 * time.Second, Duration: 60 * time.Second},
		storm{Streams: 5_000, Meetings: 100, Rate: 50, Times: 2},
		returning{Streams: 5_000, Meetings: 100, Rate: 50},
		churn{Rate: 500, Duration: 10 * time.Second, Hold: time.Second, Posts: 50},
		presence{People: 1_000, Meetings: 100, Every: 10 * time.Second, Duration: 20 * time.Second},
		presence{People: 1_000, Meetings: 100, Every: time.Second, Cursor: true, Duration: 10 * time.Second},
		notes{Editors: 100, Rate: 5, Duration: 10 * time.Second},
		idle{Streams: 10_000, Hold: 5 * time.Second},
	}
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does what args ask for. A figure that misses its target is no error, a fault is.
func run(args []string, out, progress io.Writer) error {
	var o options
	parser, err := kong.New(&o, kong.Name("bench"),
		kong.Description("Drive a running connvo over HTTP, measure, and check that nothing is lost, doubled or out of order."))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	if err := bounds(bound{"admissions", float64(o.Admissions), 0, 100_000}); err != nil {
		return err
	}
	if o.URL == "" && o.PID != 0 {
		return errors.New("--pid is for a server given by --url")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("not done within %v", o.Limit))
	defer cancel()
	return o.perform(ctx, o.chosen(command.Command()), args, out, progress)
}

// chosen returns the scenarios of a command.
func (o *options) chosen(command string) []scenario {
	for _, s := range []scenario{o.Creates, o.Lone, o.Reads, o.Fanout, o.Meetings, o.Live, o.Transcript, o.Participants, o.Revoke, o.Slow,
		o.Storm, o.Return, o.Churn, o.Presence, o.Notes, o.Idle} {
		if name, _, _ := strings.Cut(s.name(), " "); name == command {
			return []scenario{s}
		}
	}
	return o.All.scenarios()
}

// perform runs the scenarios one after the other and reports.
func (o *options) perform(ctx context.Context, list []scenario, args []string, out, progress io.Writer) error {
	dir, err := os.MkdirTemp(o.Dir, "connvo-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	h := host{options: o, dir: dir, progress: progress}
	if err := h.prepare(ctx); err != nil {
		return err
	}
	r := report{Date: time.Now().UTC().Format(time.RFC3339), Machine: thisMachine(dir),
		Command: strings.Join(append([]string{filepath.Base(os.Args[0])}, args...), " ")}
	for _, s := range list {
		res, err := h.perform(ctx, s)
		if err = cause(ctx, err); err != nil {
			res.Faults = append(res.Faults, err.Error())
		}
		r.Results = append(r.Results, res)
		if ctx.Err() != nil {
			break
		}
	}
	err = r.print(out)
	if o.JSON != "" {
		err = errors.Join(err, r.write(o.JSON))
	}
	if n := r.faultCount(); n > 0 {
		err = errors.Join(err, fmt.Errorf("faults found: %d", n))
	}
	return err
}
