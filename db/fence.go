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
// anybody is answered: an error is then an *UnconfirmedError. It is called on the
// writer's goroutine, so that it must not wait. Jobs are answered what was stored.
func (d *DB) Fence(f func() error) { d.fence.Store(&f) }

func (d *DB) fenced() error {
	if f := d.fence.Load(); f != nil {
		return (*f)()
	}
	return nil
}

// unconfirmed returns why what was committed may not count, nil where it does.
func (w *writer) unconfirmed() error {
	if err := w.db.fenced(); err != nil {
		return &UnconfirmedError{Commit: w.sequence, Cause: err}
	}
	return nil
}
