package realtime

import (
	"context"
	"errors"
	"testing"
	"time"

	"connvo/db"
	"connvo/domain"
)

// guarded opens a request that may go on while the meeting's title is 0.
func guarded(t *testing.T, e *Engine, d *db.DB, actor domain.Actor) (may func(context.Context) error) {
	t.Helper()
	if err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		if _, err := tx.Exec(insertSomeone); err != nil {
			return err
		}
		_, err := tx.Exec(insertNumber)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		return d.Read(ctx, func(tx db.Reader) error {
			title, err := db.One(tx, func(row db.Row) (s string, err error) { return s, row.Scan(&s) }, selectNumber, "m")
			if err == nil && title != "0" {
				return domain.Fail(domain.Forbidden, "the title is %s", title)
			}
			return err
		})
	}
}

func setTitle(t *testing.T, d *db.DB, title string) {
	t.Helper()
	if err := d.Write(t.Context(), func(tx *db.WriteTx) error {
		_, err := tx.Exec(updateNumber, title)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A request that stays open ends with the commit that takes the right away, with
// the token, with the server, and not before.
func TestAGuardEndsWithTheRight(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(*testing.T, *Engine, *db.DB)
		ends time.Duration // of the token, from now; 0 for never
		kind domain.Kind
	}{
		"right":  {by: func(t *testing.T, _ *Engine, d *db.DB) { setTitle(t, d, "1") }, kind: domain.Forbidden},
		"server": {by: func(_ *testing.T, e *Engine, _ *db.DB) { e.Drain() }, kind: domain.ShuttingDown},
		"token":  {by: func(*testing.T, *Engine, *db.DB) {}, ends: 100 * time.Millisecond, kind: domain.Unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			e, d := newEngine(t)
			actor := domain.Actor{User: "u"}
			if end.ends > 0 {
				actor.Expires = d.Now().Add(end.ends)
			}
			may := guarded(t, e, d, actor)
			err := e.Guard(t.Context(), Guarded{Actor: actor, May: may}, func(ctx context.Context) {
				setTitle(t, d, "0") // concerns it, and changes nothing
				if err := ctx.Err(); err != nil && end.ends == 0 {
					t.Errorf("it ended before: %v", context.Cause(ctx))
				}
				end.by(t, e, d)
				<-ctx.Done()
				if got := domain.KindOf(context.Cause(ctx)); got != end.kind {
					t.Errorf("it ended with %v", context.Cause(ctx))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Who may not to begin with never begins.
func TestAGuardLetsNobodyBeginWhoMayNot(t *testing.T) {
	e, d := newEngine(t)
	may := guarded(t, e, d, domain.Actor{})
	setTitle(t, d, "1")
	begun := func(context.Context) { t.Error("it began") }
	if err := e.Guard(t.Context(), Guarded{May: may}, begun); domain.KindOf(err) != domain.Forbidden {
		t.Error(err)
	}
	e.Drain()
	if err := e.Guard(t.Context(), Guarded{May: may}, begun); !errors.Is(err, errDraining) {
		t.Error(err)
	}
}
