package replica

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// State is how the copying goes.
type State string

// The states of a replica.
const (
	Starting    State = "starting"    // nothing has been copied yet
	Replicating State = "replicating" // the last sync has copied everything
	Behind      State = "behind"      // the last sync has failed
)

// The bounds of what is kept here while the replica is away.
const (
	alarmPercent = 80 // of the disk: reported
	fullPercent  = 95 // of the disk: writes are refused
)

// Status is what is known about the copying, from memory.
type Status struct {
	State       State
	Since       time.Time // of the first commit that may not be in the replica; zero when there is none
	LastSync    time.Time // zero for none since the start
	Transaction uint64    // the newest in the replica, by its own count
	Local       uint64    // the newest taken from the log
	Snapshots   int
	LocalBytes  int64        // of the log and of what is kept beside it
	DiskPercent int          // in use of the disk that the database is on
	Verified    Verification // the last that was made; zero for none that is known
}

// Status returns what is known about the copying.
func (r *Replica) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Full reports whether the disk holds so much that requests must not add to it.
func (r *Replica) Full() bool { return r.Status().DiskPercent >= fullPercent }

// tell notes how a sync has ended, and logs a change.
func (r *Replica) tell(err error) {
	local, _ := r.localPosition()
	r.mu.Lock()
	before := r.status
	r.status.Local = local
	if err == nil {
		r.status.State, r.status.LastSync, r.status.Since = Replicating, time.Now(), time.Time{}
		r.status.Transaction = uint64(r.db.Replica.Pos().TXID)
		r.lease.note(r.status.Transaction)
	} else {
		r.status.State = Behind
		if before.Since.IsZero() {
			r.status.Since = time.Now()
		}
	}
	now := r.status
	r.mu.Unlock()
	switch {
	case now.State == before.State:
	case err != nil:
		r.log.Error("the replica is behind", "replica", r.target.String(), "error", err)
	default:
		r.log.Info("the replica holds everything", "replica", r.target.String(), "transaction", now.Transaction)
	}
}

func (r *Replica) localPosition() (uint64, error) {
	if r.db == nil { // the replica has not been reached yet
		newest, err := localTXID(r.path)
		return uint64(newest), err
	}
	pos, err := r.db.Pos()
	return uint64(pos.TXID), err
}

// measure looks at the disk, and logs when it fills up.
func (r *Replica) measure() {
	bytes := treeSize(metaPath(r.path))
	bytes += treeSize(r.path + "-wal")
	percent := diskPercent(filepath.Dir(r.path))
	r.mu.Lock()
	before := r.status.DiskPercent
	r.status.LocalBytes, r.status.DiskPercent = bytes, percent
	r.mu.Unlock()
	switch {
	case percent >= fullPercent && before < fullPercent:
		r.log.Error("the disk is full: writes are refused", "percent", percent, "replica bytes", bytes)
	case percent >= alarmPercent && before < alarmPercent:
		r.log.Error("the disk fills up", "percent", percent, "replica bytes", bytes, "writes are refused at", fullPercent)
	case percent < fullPercent && before >= fullPercent:
		r.log.Warn("the disk has room again: writes are taken", "percent", percent)
	}
}

// treeSize returns the bytes of the files below a path; what vanishes meanwhile does
// not count.
func treeSize(path string) (sum int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if fi, err := e.Info(); err == nil {
			sum += fi.Size()
		}
		return nil
	})
	return sum
}

// diskPercent returns how much of a file system is in use, 0 where it does not tell.
func diskPercent(dir string) int {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Blocks == 0 {
		return 0
	}
	used := s.Blocks - s.Bfree // what is kept for root counts as neither, as for df
	return int(100 * used / (used + s.Bavail))
}
