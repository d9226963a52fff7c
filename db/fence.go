package db

// UnconfirmedError is what a write is answered that was stored here while it was not
// certain any more that what is stored here counts.
type UnconfirmedError struct {
	Commit int64 // the last number of its commit
	Cause  error // what Fence's function has returned
}

// Error says so.
func (e *UnconfirmedError) Error() string {
	return "the write is stored here, but another server may write by now"
}

// Unwrap returns the cause.
func (e *UnconfirmedError) Unwrap() error { return e.Cause }

// Fence has f asked before each commit, which an error undoes, and after it, before
// anybody is answered or told of it: an error is then an *UnconfirmedError, and those who
// follow commits are told once f returns nil again. It is called on the writer's
// goroutine, so that it must not wait. Jobs are answered what was stored.
func (d *DB) Fence(f func() error) { d.fence.Store(&f) }

func (d *DB) fenced() error {
	if f := d.fence.Load(); f != nil {
		return (*f)()
	}
	return nil
}

// confirm publishes what is stored once it counts, and returns why it may not.
func (w *writer) confirm() error {
	err := w.db.fenced()
	if err == nil {
		w.publish()
	}
	return err
}

// publish tells what the commit that is stored has changed.
func (w *writer) publish() {
	if w.stored == nil {
		return
	}
	set := *w.stored
	w.stored = nil
	w.committed.Store(set.Commit)
	w.mu.RLock()
	followers := w.followers
	w.mu.RUnlock()
	for _, follow := range followers {
		follow(set)
	}
}
