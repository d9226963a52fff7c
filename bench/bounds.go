package main

import (
	"errors"
	"fmt"
)

// bound is the range that an option may lie in.
type bound struct {
	name       string
	v          float64
	least, top float64
}

// bounds returns what is out of its range, all of it at once.
func bounds(all ...bound) error {
	var errs []error
	for _, b := range all {
		if !(b.v >= b.least && b.v <= b.top) { // so that NaN is refused too
			errs = append(errs, fmt.Errorf("--%s must be from %v to %v", b.name, b.least, b.top))
		}
	}
	return errors.Join(errs...)
}
