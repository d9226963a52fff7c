package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The bounds of a verification.
const (
	// verifyHour is when it is made each day, in UTC: night in Europe, where nothing
	// says otherwise. The minute depends on the database, so that many on one machine
	// take turns.
	verifyHour = 3
	// settleTime is how long a server runs before it makes the first: a start has
	// enough to do.
	settleTime = time.Hour
	// verifyLook is how often it is looked whether one is due, from memory.
	verifyLook = time.Minute
	// verifyAgain is when one that could not be made, or has found something, is made
	// again.
	verifyAgain = time.Hour
	// verifyTime bounds one: 100 GB at verifyRate take a day.
	verifyTime = 24 * time.Hour
	// verifyRate is how much of the replica is read in a second, so that whoever
	// uses the disk meanwhile gets the rest of it.
	verifyRate = 16 << 20
)

// verifiedName is the object that says how the last verification has ended.
const verifiedName = "verified.json"

// Verification is how a comparison of the replica with the database has ended.
type Verification struct {
	At          time.Time `json:"at"`
	Generation  uint64    `json:"generation"`
	Transaction uint64    `json:"transaction"` // of the generation, up to which the replica was compared
	Problem     string    `json:"problem"`     // what is wrong with the replica, "" for nothing
}

// errNoRoom says that the restored file would fill the disk.
var errNoRoom = errors.New("the disk has no room for a second copy of the database")

// verifying is where the replica is restored to be compared.
func (r *Replica) verifying() string { return r.path + ".verifying" }

// removeVerifying removes what a verification has left, also one that was cut off.
func (r *Replica) removeVerifying() {
	for _, end := range []string{"", ".tmp", "-wal", "-shm", ".lock"} {
		_ = os.Remove(r.verifying() + end) // most of them are not there
	}
}

// verify has the replica verified once a day until ctx ends, where anything was
// written since the last time. It is no job, since one would be written down each
// day, and an idle database makes no request.
func (r *Replica) verify(ctx context.Context) {
	look := time.NewTicker(verifyLook)
	defer look.Stop()
	next := schedule{from: time.Now().Add(settleTime), minute: minuteOf(r.source.ID)}
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		s := r.Status()
		if s.State != Replicating || !next.due(time.Now(), s) {
			continue
		}
		if !next.known {
			next.known = r.recall(ctx) == nil
			continue
		}
		if _, err := r.Verify(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			r.log.Error("the replica could not be verified", "replica", r.target.String(), "error", err)
		}
		next.from = time.Now().Add(verifyAgain)
	}
}

// schedule is when the next verification is due.
type schedule struct {
	from   time.Time // not before this instant
	minute int       // of the hour
	known  bool      // whether the replica was asked for how the last one has ended
}

// due reports whether it is time for a verification, or for asking when the last was
// made. One that has found something is followed by the next as soon as may be.
func (n schedule) due(now time.Time, s Status) bool {
	last := s.Verified
	switch {
	case !n.known:
		return true
	case now.Before(n.from), last.Problem == "" && last.Transaction >= s.Transaction:
		return false
	case last.At.IsZero() || last.Problem != "":
		return true
	}
	last.At = last.At.UTC()
	quiet := time.Date(last.At.Year(), last.At.Month(), last.At.Day(), verifyHour, n.minute, 0, 0, time.UTC)
	if !quiet.After(last.At) {
		quiet = quiet.AddDate(0, 0, 1)
	}
	return !now.Before(quiet)
}

// minuteOf spreads databases over the hour.
func minuteOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // it never fails
	return int(h.Sum32() % 60)
}

// recall asks the replica how the last verification has ended.
func (r *Replica) recall(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	body, _, err := r.objects.get(ctx, verifiedName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return r.explain(err)
	}
	var v Verification
	if json.Unmarshal(body, &v) == nil { // else it is made anew
		if v.Generation != r.lease.generation() {
			v.Transaction = 0 // each generation counts its own
		}
		r.tellVerified(v)
	}
	return nil
}

func (r *Replica) tellVerified(v Verification) {
	r.mu.Lock()
	r.status.Verified = v
	r.mu.Unlock()
}

// Verify restores the replica beside the database and compares: each page must be what
// it is in the database, unless it was changed meanwhile, and the restored file must
// be whole. It needs room for the file, and is made once at a time. What is found is
// logged, told by Status and kept in the replica, which gets a new snapshot where it is
// the one that is wrong. An error means that it could not be made.
func (r *Replica) Verify(ctx context.Context) (v Verification, err error) {
	r.one.Lock()
	defer r.one.Unlock()
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	began, before := time.Now(), r.Status().Verified
	var mend bool
	v.Transaction, v.Problem, mend, err = r.compare(ctx)
	if err != nil {
		return v, err
	}
	v.At, v.Generation = time.Now().UTC().Truncate(time.Millisecond), r.lease.generation()
	r.tellVerified(v)
	if v.Problem == "" {
		r.log.Info("the replica is what the database is", "replica", r.target.String(), "transaction", v.Transaction, "ms", time.Since(began).Milliseconds())
	} else {
		r.log.Error("the replica is not what the database is", "replica", r.target.String(), "transaction", v.Transaction, "problem", v.Problem)
		if mend && before.Problem == "" { // else the last one has not helped either
			select {
			case r.mend <- struct{}{}:
			default: // it is about to be made
			}
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	if err := r.objects.put(ctx, verifiedName, body); err != nil {
		return v, r.explain(err)
	}
	return v, nil
}

// compare returns up to which transaction the replica was compared, what is wrong, and
// whether a new snapshot mends that: where the file itself is damaged it does not.
func (r *Replica) compare(ctx context.Context) (transaction uint64, problem string, mend bool, err error) {
	if err := roomFor(filepath.Dir(r.path), treeSize(r.path)+treeSize(r.path+"-wal")); err != nil {
		return 0, "", false, err
	}
	if err := r.Sync(ctx); err != nil {
		return 0, "", false, err
	}
	transaction = r.Status().Transaction
	r.removeVerifying()
	defer r.removeVerifying()
	moment := Moment{Position: Position{Generation: r.lease.generation(), Transaction: transaction}}
	if _, err := r.Restore(ctx, r.verifying(), moment, paced(ctx)); err != nil {
		problem, err = r.judge(ctx, err)
		return transaction, problem, true, err
	}
	if problem, err = r.difference(ctx, transaction); err != nil || problem != "" {
		return transaction, problem, true, err
	}
	found, err := r.source.Check(ctx, r.verifying())
	return transaction, strings.Join(found, "; "), false, err
}

// difference returns in what the file that was restored to a transaction is another
// than the database, "" for nothing.
func (r *Replica) difference(ctx context.Context, transaction uint64) (problem string, err error) {
	numbers, err := r.differing(ctx, r.verifying())
	if err != nil || len(numbers) == 0 {
		return "", err
	}
	if err := r.Sync(ctx); err != nil { // what has changed them meanwhile
		return "", err
	}
	numbers, err = r.changedSince(ctx, numbers, transaction, r.Status().Transaction)
	if err != nil {
		return r.judge(ctx, err)
	}
	if len(numbers) > 0 {
		problem = fmt.Sprintf("%d pages are others than in the database, the first is %d", len(numbers), numbers[0])
	}
	return problem, nil
}

// judge returns what an error says about what the replica holds, or the error itself
// where it says nothing of that: this disk, the way to the replica, or who may read it.
func (r *Replica) judge(ctx context.Context, err error) (problem string, excuse error) {
	_, disk := errors.AsType[*fs.PathError](err)
	_, way := errors.AsType[net.Error](err)
	_, asked := errors.AsType[operationError](err)
	switch {
	case disk, ctx.Err() != nil:
		return "", err
	case way, asked:
		return "", r.explain(err)
	}
	return err.Error(), nil
}

// operationError is what the client of a bucket tells of a request.
type operationError interface {
	error
	Operation() string
}

// roomFor refuses where so many bytes more in a directory would fill the disk so far
// that it is reported.
func roomFor(dir string, bytes int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return err
	}
	used, free := int64(s.Blocks-s.Bfree)*int64(s.Bsize), int64(s.Bavail)*int64(s.Bsize)
	if (used+bytes)/alarmPercent >= (used+free)/100 {
		return fmt.Errorf("%w: %d MB, on one that may be filled up to %d percent", errNoRoom, bytes>>20, alarmPercent)
	}
	return nil
}

// paced returns what a restore tells of its progress, which holds it back.
func paced(ctx context.Context) func(done, total int64) {
	began := time.Now()
	return func(done, _ int64) {
		ahead := time.Duration(done)*time.Second/verifyRate - time.Since(began)
		if ahead <= 0 {
			return
		}
		t := time.NewTimer(ahead)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}
