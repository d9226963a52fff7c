package domain

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in the words of the HTTP contract: each Kind is
// one status and one code.
type Kind uint8

// The kinds of failure, in the order of their status.
const (
	Internal         Kind = iota // a defect; never shown with its cause
	Malformed                    // 400: cannot be parsed
	Invalid                      // 422: parsed and wrong
	Unauthenticated              // 401
	Forbidden                    // 403
	NotFound                     // 404
	Conflict                     // 409
	MeetingNotActive             // 409: the meeting is not running
	RateLimited                  // 429
	Unavailable                  // 503: try again
	ShuttingDown                 // streams only: the server is about to stop
)

// Error is a failure that the caller may read.
type Error struct {
	Kind   Kind
	Detail string // a sentence for the caller, without internals or secrets
	Field  string // where the wrong value is, such as "body.title", or ""
	// Members are numbers that a program needs to go on, by the name that they have
	// in the problem document; nil for none.
	Members map[string]int64
	Cause   error // for the log only, or nil
}

// Error returns the sentence for the caller.
func (e *Error) Error() string { return e.Detail }

// Unwrap returns the cause, which is for the log only.
func (e *Error) Unwrap() error { return e.Cause }

// Fail returns an *Error with a sentence for the caller.
func Fail(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// FailField is Fail for a value that is wrong, at field such as "body.title".
func FailField(field, format string, args ...any) error {
	return &Error{Kind: Invalid, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Because returns an *Error whose cause is for the log.
func Because(kind Kind, cause error, detail string) error {
	return &Error{Kind: kind, Detail: detail, Cause: cause}
}

// KindOf returns the kind of the first *Error in err's chain, else Internal.
func KindOf(err error) Kind {
	if e, found := errors.AsType[*Error](err); found {
		return e.Kind
	}
	return Internal
}
