package connections

import (
	"connvo/db"
	"connvo/domain"
)

// checkPending refuses one request too many, of whoever asks or is asked.
func checkPending(tx *db.WriteTx, from, to domain.UserID) error {
	sent, err := db.One(tx, db.Int, countWaiting, from, Sent)
	if err != nil {
		return err
	}
	if sent >= MaxSent {
		return domain.Fail(domain.Conflict, "%d of your requests wait for an answer, which is the most; withdraw one first", MaxSent)
	}
	received, err := db.One(tx, db.Int, countWaiting, to, Received)
	if err != nil {
		return err
	}
	if received >= MaxReceived {
		return domain.Fail(domain.Conflict, "they have too many requests to answer; try again later")
	}
	return nil
}

// checkAccepted refuses one connection too many, of either of the two.
func checkAccepted(tx *db.WriteTx, user, other domain.UserID) error {
	mine, err := db.One(tx, db.Int, countAccepted, user)
	if err != nil {
		return err
	}
	if mine >= MaxConnections {
		return domain.Fail(domain.Conflict, "you have %d connections, which is the most; remove one first", MaxConnections)
	}
	theirs, err := db.One(tx, db.Int, countAccepted, other)
	if err != nil {
		return err
	}
	if theirs >= MaxConnections {
		return domain.Fail(domain.Conflict, "they have as many connections as one may have")
	}
	return nil
}
