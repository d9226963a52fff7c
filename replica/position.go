package replica

import (
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in what a replica holds: each generation counts its transactions
// from one.
type Position struct {
	Generation  uint64 `json:"generation"`
	Transaction uint64 `json:"transaction"`
}

// String returns the position as ParsePosition reads it, such as 3/1234.
func (p Position) String() string { return fmt.Sprintf("%d/%d", p.Generation, p.Transaction) }

// ParsePosition reads what String has returned; "" is the zero position.
func ParsePosition(s string) (p Position, err error) {
	if s == "" {
		return p, nil
	}
	generation, transaction, _ := strings.Cut(s, "/")
	if p.Generation, err = strconv.ParseUint(generation, 10, 64); err == nil {
		p.Transaction, err = strconv.ParseUint(transaction, 10, 64)
	}
	if err != nil {
		return Position{}, fmt.Errorf("%q is no position of a replica", s)
	}
	return p, nil
}
