package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// The ways to leave.
const (
	reading = iota // read for a while, then close
	halfway        // close the own direction only, and read to the end
	reset          // go with a reset
	silent         // never read a byte
	ways
)

// visits are connections that come and go.
type visits struct {
	churn
	t     *target
	p     *poster
	seats []seat

	failed failures
	mu     sync.Mutex // guards the rest
	counts [ways]int
	pieces []piece
}

// come lets connections come for a time and returns when all have gone.
func (v *visits) come(ctx context.Context, d time.Duration) {
	pace(ctx, max(int(v.Rate*d.Seconds()), ways), v.Rate, atOnce, func(_, n int) {
		way := n % ways
		err := v.visit(ctx, way, v.seats[n/ways%len(v.seats)])
		if err != nil && ctx.Err() == nil {
			v.failed.add(err)
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.counts[way]++
	})
}

// visit opens one stream and leaves it.
func (v *visits) visit(ctx context.Context, way int, s seat) error {
	stay := rand.N(v.Hold)
	if way == silent {
		l := line{addr: v.t.addr}
		defer l.close()
		if err := l.connect(ctx); err != nil {
			return err
		}
		_, err := l.conn.Write(request{method: "GET", path: s.path, token: s.user.token, accept: "text/event-stream"}.render(nil, l.addr))
		sleep(ctx, stay)
		return err
	}
	got, err := v.t.admitted(ctx, s)
	if err != nil {
		return err
	}
	defer got.line.close()
	if way == reading {
		return v.read(got, s, stay)
	}
	conn, ok := got.line.conn.(*net.TCPConn)
	if !ok {
		return errors.New("no TCP connection")
	}
	sleep(ctx, stay)
	if way == reset {
		return conn.SetLinger(0) // closing it then resets it
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(goodbyTime)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("closed half way, a stream goes on: %w", err)
	}
	return nil
}

// read reads a stream for a while and keeps what comes that is new.
func (v *visits) read(s *stream, at seat, stay time.Duration) error {
	w := &watcher{stream: s, tracks: []*track{{seat: at}}}
	hangUp := time.AfterFunc(stay, func() { _ = s.line.conn.Close() })
	defer hangUp.Stop()
	if err := w.read(v.p); !errors.Is(err, net.ErrClosed) {
		return err
	}
	got := w.tracks[0].got
	first := 0
	for first < len(got) && got[first].item.position <= s.begun.Commit {
		first++
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if first < len(got) {
		v.pieces = append(v.pieces, piece{at.at, s.begun.Commit, slices.Clone(got[first:])})
	}
	return nil
}

// piece is what a stream brought of a room's messages after it began at a commit.
type piece struct {
	room   int
	commit int64
	got    []delivery
}

// faults lists what was wrong with visits, and with the pieces that they brought.
func (v *visits) faults() []string {
	wants := make([][]item, len(v.p.rooms))
	doubts := make([][]int, len(v.p.rooms))
	for at := range wants {
		wants[at], doubts[at] = v.p.outcome(at)
	}
	all := newVerdict(len(v.p.entries))
	for _, p := range v.pieces {
		want := upTo(wants[p.room], p.got[len(p.got)-1].item.position)
		all.judge(&track{got: p.got}, want[len(upTo(want, p.commit)):], doubts[p.room])
	}
	return append(v.failed.faults("visits"), all.faults()...)
}

func (v *visits) figures(res *result, before, after condition, s spent) {
	n := 0
	for _, c := range v.counts {
		n += c
	}
	res.add("connections", float64(n), "", goal{})
	for way, name := range []string{"read and closed", "closed half way", "reset", "never read"} {
		res.add(name, float64(v.counts[way]), "", goal{})
	}
	if v.t.pid != 0 {
		if left := after.files - before.files; left > n/100 {
			res.Faults = append(res.Faults, fmt.Sprintf("%d descriptors are left of %d connections", left, n))
		}
		res.add("descriptors left", float64(after.files-before.files), "", atMost(0).of(sloLeaks))
		res.add("threads more", float64(after.threads-before.threads), "", goal{})
		res.add("RSS before", float64(before.resident)/(1<<20), "MB", goal{})
		res.add("RSS growth", float64(after.resident-before.resident)/(1<<20), "MB", atMost(rssGrowth).of(sloLeaks))
	}
	res.cpu(s, n, "connection")
	res.add("pieces compared", float64(len(v.pieces)), "", goal{})
}
