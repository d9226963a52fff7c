package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
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

// written returns the bytes that a process has let be written to a disk: its log and its database, and no connection.
func written(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	return parseWritten(string(raw))
}

// parseWritten takes the line "write_bytes: 1234".
func parseWritten(raw string) (int64, error) {
	for line := range strings.Lines(raw) {
		if rest, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("io has no write_bytes")
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

// parseBusy takes the time that all processors together were not idle out of /proc/stat: the first line is
// "cpu user nice system idle iowait irq softirq steal …".
func parseBusy(raw []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("stat begins with %.40q", line)
	}
	var ticks int64
	for i, f := range fields[1:9] {
		n, ok := digits(f)
		if !ok {
			return 0, fmt.Errorf("stat has time %q", f)
		}
		if i != 3 && i != 4 { // idle, iowait
			ticks += n
		}
	}
	return time.Duration(ticks) * clockTick, nil
}
