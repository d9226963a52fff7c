package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const clockTick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux

// cpuTime returns the user and system time that a process has taken.
func cpuTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(raw)
}

// parseStat takes utime and stime, the 14th and 15th fields. The second is a name that may hold anything.
func parseStat(raw []byte) (time.Duration, error) {
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat has %d fields after the name", len(fields))
	}
	user, ok := digits(fields[11])
	system, ok2 := digits(fields[12])
	if !ok || !ok2 {
		return 0, fmt.Errorf("stat has times %q and %q", fields[11], fields[12])
	}
	return time.Duration(user+system) * clockTick, nil
}

// residentSize returns the bytes of memory that a process holds.
func residentSize(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(string(raw))
}

// parseResident takes the line "VmRSS:   1234 kB".
func parseResident(raw string) (int64, error) {
	for line := range strings.Lines(raw) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("status has no VmRSS")
}

// meter measures what passes between its start and its reading.
type meter struct {
	pid      int
	began    time.Time
	cpu, own time.Duration
}

// spent is what passed: time, processor time of the server (when its process is known) and of the bench.
type spent struct {
	elapsed, server, bench time.Duration
	known                  bool
}

func (t *target) meter() (meter, error) {
	m := meter{pid: t.pid, own: ownTime(), began: time.Now()}
	if t.pid == 0 {
		return m, nil
	}
	var err error
	m.cpu, err = cpuTime(t.pid)
	return m, err
}

func (m meter) read() (spent, error) {
	s := spent{elapsed: time.Since(m.began), bench: ownTime() - m.own}
	if m.pid == 0 {
		return s, nil
	}
	cpu, err := cpuTime(m.pid)
	s.server, s.known = cpu-m.cpu, true
	return s, err
}

// ownTime is the processor time of the bench itself.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
