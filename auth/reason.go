package auth

import (
	"errors"
	"fmt"

	"connvo/domain"
)

// Reason is why a credential or a webhook was not believed, in a word: there is a
// figure for each. It is the cause of such an error.
type Reason string

// The reasons.
const (
	Malformed   Reason = "malformed" // it is none, or lacks what it must say
	Unsigned    Reason = "unsigned"  // of a webhook: without a signature
	BadSign     Reason = "signature" // its signature is wrong, or by a key that is not the provider's
	Expired     Reason = "expired"   // its time is over
	Stale       Reason = "stale"     // of a webhook: it was signed too long ago, or ahead
	Early       Reason = "early"     // it is not valid yet
	Foreign     Reason = "foreign"   // it is from another issuer, for another client, or of another server
	Ended       Reason = "ended"     // its session has ended
	Unknown     Reason = "unknown"   // the provider does not know its person
	Deactivated Reason = "deactivated"
	Declined    Reason = "declined" // the provider has signed nobody in
	Other       Reason = "other"
)

// Error returns the word.
func (r Reason) Error() string { return string(r) }

// ReasonOf returns why err has refused somebody, Other where it does not say.
func ReasonOf(err error) Reason {
	if r, found := errors.AsType[Reason](err); found {
		return r
	}
	return Other
}

// refuse returns an error of the kind Unauthenticated.
func refuse(reason Reason, format string, args ...any) error {
	return domain.Because(domain.Unauthenticated, reason, fmt.Sprintf(format, args...))
}
