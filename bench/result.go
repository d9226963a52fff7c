package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
)

// goal is what a figure should be; the zero goal is none.
type goal struct {
	op    string
	value float64
	slo   string // the figure to hold that it is of; empty when it is of none
}

func below(v float64) goal   { return goal{op: "<", value: v} }
func atMost(v float64) goal  { return goal{op: "≤", value: v} }
func atLeast(v float64) goal { return goal{op: "≥", value: v} }

// of names the figure to hold that the goal belongs to.
func (g goal) of(slo string) goal {
	g.slo = slo
	return g
}

func (g goal) met(v float64) bool {
	switch g.op {
	case "<":
		return v < g.value
	case "≤":
		return v <= g.value
	default:
		return v >= g.value
	}
}

// String writes the goal as the table shows it.
func (g goal) String() string {
	if g.op == "" {
		return ""
	}
	return g.op + " " + strconv.FormatFloat(g.value, 'f', -1, 64)
}

// figure is one number that was measured.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"` // nil without a target
	SLO    string  `json:"slo,omitempty"` // the figure to hold that the target is of
}

// result is what one scenario measured, and what its checks found wrong.
type result struct {
	Scenario string   `json:"scenario"`
	Load     string   `json:"load"`
	Figures  []figure `json:"figures"`
	Notes    []string `json:"notes,omitempty"` // what a reader of the figures has to know
	Faults   []string `json:"faults,omitempty"`
}

// goals are those for the percentiles of a latency.
type goals struct{ p50, p95, p99, worst goal }

// add records a figure.
func (r *result) add(name string, value float64, unit string, g goal) {
	f := figure{Name: name, Value: value, Unit: unit, Target: g.String(), SLO: g.slo}
	if g.op != "" {
		met := g.met(value)
		f.Met = &met
	}
	r.Figures = append(r.Figures, f)
}

// latency records the percentiles of s in milliseconds.
func (r *result) latency(what string, s summary, g goals) {
	r.add(what+" p50", ms(s.p50), "ms", g.p50)
	r.add(what+" p95", ms(s.p95), "ms", g.p95)
	r.add(what+" p99", ms(s.p99), "ms", g.p99)
	r.add(what+" worst", ms(s.worst), "ms", g.worst)
}

// note records what a reader of the figures has to know.
func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// cpu records the processor time that each of n took.
func (r *result) cpu(s spent, n int, each string) {
	if n == 0 {
		return
	}
	if s.known {
		r.add("server CPU per "+each, us(s.server)/float64(n), "µs", goal{})
	}
	r.add("bench CPU per "+each, us(s.bench)/float64(n), "µs", goal{})
	if s.written > 0 {
		r.add("written to disk per "+each, float64(s.written)/float64(n), "B", goal{})
	}
	if s.known {
		r.add("CPU of others", s.others(), "%", goal{})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// report is the run as --json writes it.
type report struct {
	Date    string   `json:"date"`
	Command string   `json:"command"`
	Machine machine  `json:"machine"`
	Results []result `json:"results"`
}

func (r report) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// print writes the results as one table, and below it what is wrong.
func (r report) print(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "\n%s · %d cores · %s · %s · %s\n\n", r.Date, m.Cores, m.CPU, m.Go, m.OS)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tFIGURE\tVALUE\tUNIT\tTARGET\t")
	for _, res := range r.Results {
		for _, f := range res.Figures {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", res.Scenario, f.Name, number(f.Value), f.Unit, f.Target, f.verdict())
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := r.printHeld(out); err != nil {
		return err
	}
	for _, res := range r.Results {
		for _, n := range res.Notes {
			fmt.Fprintf(out, "NOTE on %s: %s\n", res.Scenario, n)
		}
		for _, f := range res.Faults {
			fmt.Fprintf(out, "FAULT in %s: %s\n", res.Scenario, f)
		}
	}
	return nil
}

// number writes a value with as many digits as mean something.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// faultCount is the number of things found wrong.
func (r report) faultCount() int {
	n := 0
	for _, res := range r.Results {
		n += len(res.Faults)
	}
	return n
}
