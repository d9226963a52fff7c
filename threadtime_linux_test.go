package main

import (
	"syscall"
	"time"
)

// threadTime is how much of a processor's time this thread has had.
func threadTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_THREAD, &used) // 0 where it fails
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
