package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connvo/auth"
	"connvo/db"
	"connvo/db/dbtest"
	"connvo/domain"
	"connvo/domain/users"
)

// gallery is a LastSeen with what it stands on, in a bubble: time is the
// bubble's, and everybody in it exists.
type gallery struct {
	t    *testing.T
	db   *db.DB
	log  bytes.Buffer // read when the LastSeen is closed
	seen *auth.LastSeen
}

// maxSeen is how many people are noted in 5 minutes.
const maxSeen = 16384

func inGallery(t *testing.T, people int, test func(t *testing.T, g *gallery)) {
	synctest.Test(t, func(t *testing.T) {
		g := &gallery{t: t, db: dbtest.Open(t)}
		g.exec(`
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)
			INSERT INTO users (id, subject, claims_at, email, display_name, created_at, updated_at)
			SELECT 'usr_' || i, i, 0, '', '', 0, 0 FROM n`, people)
		g.seen = auth.NewLastSeen(users.NewStore(g.db), g.db.Now, slog.New(slog.NewTextHandler(&g.log, nil)))
		test(t, g)
	})
}

func (g *gallery) exec(query string, args ...any) {
	g.t.Helper()
	err := g.db.Write(g.t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gallery) number(query string, args ...any) (n int64) {
	g.t.Helper()
	err := g.db.Read(g.t.Context(), func(tx db.Reader) (err error) {
		n, err = db.One(tx, db.Int, query, args...)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

// stored is how many people have been seen.
func (g *gallery) stored() int64 { return g.number(`SELECT count(*) FROM last_seen`) }

func (g *gallery) close() {
	g.t.Helper()
	if err := g.seen.Close(context.Background()); err != nil {
		g.t.Error(err)
	}
}

// userID is the id of the person with the number.
func userID(n int) domain.UserID { return domain.UserID("usr_" + strconv.Itoa(n)) }

func TestSeenIsStoredWithinTenSecondsInOneCommit(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		defer g.close()
		before := g.db.Stats()
		time.Sleep(time.Hour)
		at := g.db.Now()
		for n := range 100 {
			g.seen.Note(userID(n))
		}
		synctest.Wait()
		if got := g.db.Stats(); got.Closures != before.Closures {
			t.Errorf("%d writes of nothing, or at once", got.Closures-before.Closures)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.number(`SELECT count(*) FROM last_seen WHERE seen_at = ?`, at.UnixMilli()); n != 100 {
			t.Errorf("%d were stored as seen when they were", n)
		}
		// Then nothing, for as long as nobody comes.
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := g.db.Stats(); got.Commits != before.Commits+1 || got.Closures != before.Closures+1 {
			t.Errorf("%d commits and %d writes, want one", got.Commits-before.Commits, got.Closures-before.Closures)
		}
	})
}

func TestSeenIsNotedOnceInFiveMinutes(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		defer g.close()
		g.seen.Note(userID(1))
		time.Sleep(2 * time.Minute)
		before := g.db.Stats().Closures
		first := g.number(`SELECT seen_at FROM last_seen`)
		for range 179 {
			g.seen.Note(userID(1))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if got := g.db.Stats().Closures; got != before {
			t.Errorf("written %d times in 5 minutes", got-before)
		}
		time.Sleep(time.Second)
		g.seen.Note(userID(1))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := g.number(`SELECT seen_at FROM last_seen`); got != first+users.SeenEvery.Milliseconds() {
			t.Errorf("seen again after 5 minutes: stored %d ms later", got-first)
		}
	})
}

// Whoever is noted at the end of one 5 minutes is remembered in the next.
func TestSeenIsRememberedBeyondTheTurn(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		defer g.close()
		g.seen.Note(userID(1))
		time.Sleep(4*time.Minute + 59*time.Second)
		g.seen.Note(userID(2))
		time.Sleep(time.Minute)
		before := g.db.Stats().Closures
		g.seen.Note(userID(2))
		time.Sleep(time.Minute)
		if got := g.db.Stats().Closures; got != before {
			t.Errorf("written %d times in 5 minutes", got-before)
		}
		time.Sleep(3 * time.Minute)
		g.seen.Note(userID(2))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := g.db.Stats().Closures; got != before+1 {
			t.Errorf("written %d times after 5 minutes", got-before)
		}
	})
}

func TestSeenAfterRestartIsNotRewritten(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		g.seen.Note(userID(1))
		g.close()
		if n := g.stored(); n != 1 {
			t.Fatalf("%d were stored at the end", n)
		}
		before := g.db.Stats().Commits
		time.Sleep(users.SeenEvery - time.Second)
		again := auth.NewLastSeen(users.NewStore(g.db), g.db.Now, slog.New(slog.DiscardHandler))
		again.Note(userID(1))
		if err := again.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := g.db.Stats().Commits; got != before {
			t.Errorf("%d commits after the restart", got-before)
		}
	})
}

func TestSeenIsBounded(t *testing.T) {
	inGallery(t, maxSeen+1, func(t *testing.T, g *gallery) {
		defer g.close()
		for n := range maxSeen + 1 {
			g.seen.Note(userID(n))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.stored(); n != maxSeen {
			t.Errorf("%d were stored, want %d", n, maxSeen)
		}
		g.seen.Note(userID(maxSeen))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.stored(); n != maxSeen {
			t.Errorf("%d were stored although the memory is full", n)
		}
		time.Sleep(users.SeenEvery)
		g.seen.Note(userID(maxSeen))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.stored(); n != maxSeen+1 {
			t.Errorf("%d were stored, want all", n)
		}
	})
}

// A database that cannot store keeps nobody waiting, and is tried again.
func TestSeenThatCannotBeStoredIsGivenUp(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		g.exec(`ALTER TABLE last_seen RENAME TO elsewhere`)
		g.seen.Note(userID(1))
		time.Sleep(10 * time.Second)
		g.exec(`ALTER TABLE elsewhere RENAME TO last_seen`)
		g.seen.Note(userID(2))
		g.close()
		if g.stored() != 1 || strings.Count(g.log.String(), "could not be stored") != 1 {
			t.Errorf("%d were stored; the log:\n%s", g.stored(), g.log.String())
		}
	})
}

func TestClosingSeenIsBoundedByItsContext(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		release, written := make(chan struct{}), make(chan error, 1)
		go func() {
			written <- g.db.Write(context.Background(), func(*db.WriteTx) error { <-release; return nil })
		}()
		synctest.Wait()
		g.seen.Note(userID(1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.seen.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
		if err := <-written; err != nil {
			t.Error(err)
		}
		if n := g.stored(); n != 0 {
			t.Errorf("%d were stored after the end", n)
		}
	})
}

func TestSeenByManyAtOnce(t *testing.T) {
	inGallery(t, 100, func(t *testing.T, g *gallery) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				for n := range 100 {
					g.seen.Note(userID(n))
				}
			})
		}
		all.Wait()
		g.close()
		if n := g.stored(); n != 100 {
			t.Errorf("%d were stored", n)
		}
	})
}

func BenchmarkNote(b *testing.B) {
	seen := lastSeen(b, users.NewStore(dbtest.Open(b)), time.Now)
	ids := make([]domain.UserID, 1000)
	for i := range ids {
		ids[i] = userID(i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			seen.Note(ids[i%len(ids)])
		}
	})
}
