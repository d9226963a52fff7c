package main

import (
	"fmt"

	"connvo/audit"
	"connvo/db"
	"connvo/domain/meetings"
	"connvo/domain/users"
	"connvo/jobs"
)

// handOver does, a portion at a time, what is left to do once somebody is
// deactivated: it hands over the meetings that they were to host. Who was activated
// again meanwhile keeps what is left.
func handOver(meets *meetings.Store) func(tx *db.WriteTx, d users.Departure) error {
	return func(tx *db.WriteTx, d users.Departure) error {
		active, err := users.IsActive(tx, d.User)
		if err != nil || active {
			return err
		}
		done, next, err := meets.HandOver(tx, d.User, d.By, d.After)
		if err != nil {
			return err
		}
		for _, h := range done {
			e := audit.Entry{Actor: d.By, Org: h.Org, Action: audit.MeetingTransferred, Resource: string(h.Meeting), Outcome: audit.Allowed}
			if h.Heir == "" {
				e.Action = audit.MeetingCancelled
			} else {
				e.Detail = fmt.Sprintf(`{"host":%q}`, h.Heir)
			}
			if err := audit.Record(tx, e); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		d.After = next
		return jobs.Enqueue(tx, jobs.Job{Kind: users.Deactivated, Name: users.Deactivated + ":" + string(d.User), Payload: d})
	}
}
