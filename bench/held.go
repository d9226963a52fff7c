package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// The figures to hold on a machine of two cores that the load generator shares, as the table at the end calls them.
const (
	sloCreates      = "durable creates, 500 at once"
	sloKeyed        = "durable creates with a key, 500 at once"
	sloLone         = "a lone write"
	sloReplicated   = "a lone write that waits for the replica"
	sloQuery        = "query, 500 GETs and 300 writes a second, 5,000 streams"
	sloDelivery     = "commit to subscriber, 1,000 meetings, 5,000 streams"
	sloChunks       = "chunks in 1,000 meetings, ten a second each"
	sloSpoken       = "100 chunks a second in one meeting"
	sloFew          = "commit to subscriber, 100 streams"
	sloParticipants = "one commit to 1,000 watchers of participants"
	sloIdle         = "idle live stream"
	sloNotes        = "100 editors of one document"
	sloPresence     = "presence of 1,000 people in 100 meetings"
	sloRevoked      = "loss of access to the end of its streams"
	sloReturn       = "5,000 streams back after a restart"
	sloReruns       = "re-runs that change nothing"
	sloSlow         = "a reader that reads nothing is ended"
	sloLeaks        = "connections that come and go leave nothing"
)

// verdict says whether the target is met; empty without one.
func (f figure) verdict() string {
	switch {
	case f.Met == nil:
		return ""
	case *f.Met:
		return "met"
	default:
		return "MISSED"
	}
}

// printHeld writes the figures that have a target of the figures to hold, by these, in the order of their appearance.
func (r report) printHeld(out io.Writer) error {
	type line struct{ scenario, text string }
	held := map[string][]line{}
	var names []string
	for _, res := range r.Results {
		for _, f := range res.Figures {
			if f.SLO == "" {
				continue
			}
			if held[f.SLO] == nil {
				names = append(names, f.SLO)
			}
			held[f.SLO] = append(held[f.SLO], line{res.Scenario,
				fmt.Sprintf("%s\t%s %s\t%s\t%s", f.Name, number(f.Value), f.Unit, f.Target, f.verdict())})
		}
	}
	if len(names) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE TO HOLD\tSCENARIO\tMEASURED\tVALUE\tTARGET\t")
	for _, name := range names {
		for _, l := range held[name] {
			fmt.Fprintf(w, "%s\t%s\t%s\n", name, l.scenario, l.text)
		}
	}
	return w.Flush()
}
