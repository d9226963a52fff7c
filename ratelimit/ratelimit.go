// Package ratelimit is how often somebody may do something.
//
// Each user or address has a bucket for each policy: it holds a burst of tokens,
// a request takes one, and they come back evenly. The buckets are in memory, so
// that asking costs no read and no write; those below half are stored now and
// then, so that a restart forgives little.
package ratelimit

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"connvo/db"
)

const (
	// maxBuckets bounds the memory of the users' buckets, and that of the
	// addresses': about 17 MB each.
	maxBuckets = 1 << 17
	// shards is how many parts are locked apart, so that requests on every core
	// seldom wait for each other.
	shards = 64
	// maxLooked is how many buckets are looked at where one has to make room.
	maxLooked = 16
)

// Config is what Limits are made of. DB is required.
type Config struct {
	DB *db.DB
	// Now is the clock; the database's when nil.
	Now func() time.Time
	// Log receives what could not be stored; slog.Default() when nil.
	Log *slog.Logger
	// StoreEvery is how often the buckets below half are stored, DefaultStoreEvery
	// when 0; tests shorten it.
	StoreEvery time.Duration
}

// Limits are the buckets. They are safe for concurrent use.
type Limits struct {
	db    *db.DB
	now   func() time.Time
	log   *slog.Logger
	seed  maphash.Seed
	every time.Duration

	users, addresses [shards]shard

	stopping chan struct{}      // closed by Close
	finished chan struct{}      // closed when serve has ended
	cut      context.Context    // ends when storing is to be cut off
	cutOff   context.CancelFunc // ends cut
}

// shard is a part of the buckets.
type shard struct {
	mu      sync.Mutex // guards buckets
	buckets map[key]bucket
}

// key names a bucket; who is a user, an address's network, or "" for all who
// have no bucket of their own.
type key struct {
	policy Policy
	who    string
}

// bucket is a bucket of tokens, as the one number that says everything about it.
type bucket struct {
	full   int64 // when it is full again, in Unix nanoseconds
	stored bool  // the database knows full
}

// Left is what a bucket holds after a request.
type Left struct {
	Policy  Policy
	Allowed bool
	Tokens  int           // how many requests more it allows at once
	Next    time.Duration // until it holds one more
}

// New returns the limits as they were stored. Close them before the database.
func New(ctx context.Context, c Config) (*Limits, error) {
	l := &Limits{
		db: c.DB, now: c.Now, log: c.Log, every: c.StoreEvery, seed: maphash.MakeSeed(),
		stopping: make(chan struct{}), finished: make(chan struct{}),
	}
	if l.now == nil {
		l.now = c.DB.Now
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	if l.every == 0 {
		l.every = DefaultStoreEvery
	}
	for i := range shards {
		l.users[i].buckets, l.addresses[i].buckets = map[key]bucket{}, map[key]bucket{}
	}
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	l.cut, l.cutOff = context.WithCancel(context.Background())
	go l.serve()
	return l, nil
}

// Take takes a token of who, which is a user, or for a policy of addresses what
// Network returns. It waits for nothing. None allows everything.
func (l *Limits) Take(p Policy, who string) Left { return l.TakeMany(p, who, 1) }

// TakeMany takes n tokens of who, or none where there are not so many: Next is then
// the time until there are. n is at most the burst of the policy.
func (l *Limits) TakeMany(p Policy, who string, n int) Left {
	if p == None {
		return Left{Allowed: true}
	}
	now := l.now().UnixNano()
	s := l.shard(p, who)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{p, who}
	b, found := s.buckets[k]
	if !found && len(s.buckets) >= maxBuckets/shards && !s.makeRoom(now) {
		k.who = "" // what is left for all who come now
		b = s.buckets[k]
	}
	left := b.take(p, now, n)
	s.buckets[k] = b
	return left
}

// take takes n tokens if there are so many. Where the clock was set back, a bucket is
// empty, not more than that.
func (b *bucket) take(p Policy, now int64, n int) Left {
	r := rules[p]
	b.full = min(max(b.full, now), now+int64(r.window))
	wanted := int64(n) * r.each()
	missing := b.full - now + wanted - int64(r.window)
	left := Left{Policy: p, Allowed: missing <= 0}
	if left.Allowed {
		b.full, b.stored = b.full+wanted, false
	}
	held := now + int64(r.window) - b.full
	left.Tokens = int(held / r.each())
	left.Next = time.Duration(max(r.each()-held%r.each(), missing))
	return left
}

// low reports whether more than half is missing. Such a bucket is stored, and
// makes no room: its owner would have a full one again.
func (b bucket) low(p Policy, now int64) bool { return 2*(b.full-now) > int64(rules[p].window) }

// makeRoom forgets, of a few buckets, the one that is full or will be first. It
// returns false where all of them are low. s.mu is held.
func (s *shard) makeRoom(now int64) bool {
	var first key
	var full int64
	looked := 0
	for k, b := range s.buckets {
		if k.who != "" && !b.low(k.policy, now) && (first.who == "" || b.full < full) {
			first, full = k, b.full
		}
		if looked++; looked == maxLooked {
			break
		}
	}
	if first.who == "" {
		return false
	}
	delete(s.buckets, first)
	return true
}

// shard returns the part in which the bucket is. Strangers cannot crowd out
// users.
func (l *Limits) shard(p Policy, who string) *shard {
	i := maphash.String(l.seed, who) % shards
	if rules[p].address {
		return &l.addresses[i]
	}
	return &l.users[i]
}

// Network returns what an address is counted as: itself, or of IPv6 the first 64
// bits, of which one household has all that follow. What is no address is
// returned as it is.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	n, _ := a.Prefix(64) // 64 bits are not too many for IPv6
	return n.String()
}
