package db_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connvo/db"
)

// waitingCallers is how many callers a full server has waiting for the writer.
const waitingCallers = 500

func BenchmarkTwoInserts(b *testing.B) {
	d := open(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	var callers sync.WaitGroup
	b.ResetTimer()
	for i := range waitingCallers {
		callers.Go(func() {
			topic := fmt.Sprintf("topic-%d", i%50)
			for left.Add(-1) >= 0 {
				if err := d.Write(context.Background(), twoInserts(topic)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "closures/s")
}

func twoInserts(topic string) func(*db.WriteTx) error {
	return func(tx *db.WriteTx) error {
		if _, err := tx.Exec(insertNote, tx.Next(), topic, "author", "a sentence of the usual length, said in a meeting"); err != nil {
			return err
		}
		_, err := tx.Exec(insertNote, tx.Next(), topic, "author", "another one")
		return err
	}
}

func BenchmarkLoneWrite(b *testing.B) {
	d := open(b)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := d.Write(context.Background(), twoInserts("topic")); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
}

func BenchmarkOpenFresh(b *testing.B) {
	dir := b.TempDir()
	n := 0
	for b.Loop() {
		n++
		d, err := db.Open(context.Background(), options(filepath.Join(dir, fmt.Sprint(n))))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkRead(b *testing.B) {
	d := open(b)
	put(b, d, "key")
	b.ReportAllocs()
	for b.Loop() {
		err := d.Read(context.Background(), func(tx db.Reader) error {
			_, err := db.One(tx, db.Int, selectPair, "key")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	d := open(b)
	put(b, d, "key")
	const scoped = "SELECT value FROM pairs WHERE key = ?\n-- scope: pairs.key=?1"
	b.ReportAllocs()
	for b.Loop() {
		_, err := d.Observe(context.Background(), func(ctx context.Context, _ int64) error {
			return d.Read(ctx, func(tx db.Reader) error {
				_, err := db.One(tx, db.Int, scoped, "key")
				return err
			})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
