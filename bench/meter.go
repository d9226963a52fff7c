package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// meter measures what passes between its start and its reading.
type meter struct {
	pid            int
	began          time.Time
	cpu, own, busy time.Duration
	written        int64
}

// spent is what passed: time, processor time of the server, of the bench and of everything on the machine, and
// bytes that the server had written to the disk.
type spent struct {
	elapsed, server, bench, busy time.Duration
	written                      int64 // 0 where it is not known
	known                        bool  // the server's process is known
}

func (t *target) meter() (meter, error) {
	m := meter{pid: t.pid, own: ownTime(), busy: busyTime(), began: time.Now()}
	if t.pid == 0 {
		return m, nil
	}
	m.written, _ = written(t.pid) // which only its own user may know
	var err error
	m.cpu, err = cpuTime(t.pid)
	return m, err
}

func (m meter) read() (spent, error) {
	s := spent{elapsed: time.Since(m.began), bench: ownTime() - m.own, busy: busyTime() - m.busy}
	if m.pid == 0 {
		return s, nil
	}
	cpu, err := cpuTime(m.pid)
	s.server, s.known = cpu-m.cpu, true
	if bytes, failed := written(m.pid); failed == nil {
		s.written = bytes - m.written
	}
	return s, err
}

// others is the share of all processors that went to neither the server nor the bench, in percent: where it
// is not small, the figures are of a machine that had other work.
func (s spent) others() float64 {
	all := s.elapsed.Seconds() * float64(runtime.NumCPU())
	return max(0, 100*(s.busy-s.server-s.bench).Seconds()/all)
}

// ownTime is the processor time of the bench itself.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busyTime is the processor time of everything on the machine, and 0 where there is no /proc/stat.
func busyTime() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	busy, err := parseBusy(raw)
	if err != nil {
		return 0
	}
	return busy
}

// size records how much memory the server holds.
func (t *target) size(res *result) error {
	if t.pid == 0 {
		return nil
	}
	n, err := residentSize(t.pid)
	res.add("RSS", float64(n)/(1<<20), "MB", goal{})
	return err
}
