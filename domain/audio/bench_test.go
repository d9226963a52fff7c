package audio_test

import (
	"testing"
	"time"

	"connvo/db"
	"connvo/domain/audio"
)

// BenchmarkAccept is one piece after the other, each taken in and then dropped: 15
// seconds of Opus at 32 kbit/s, and of PCM at 16,000 samples a second.
func BenchmarkAccept(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"60kB", 60_000}, {"480kB", 480_000}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRoom(b)
			sound := audio.Sound{Format: audio.WebM, Duration: 15 * time.Second, Bytes: make([]byte, c.size)}
			b.ResetTimer()
			for range b.N {
				p, err := r.store.Accept(b.Context(), r.ada, r.id, nil, sound)
				r.must(err)
				r.must(r.write(func(tx *db.WriteTx) error {
					_, err := audio.Drop(tx, p)
					return err
				}))
			}
		})
	}
}

// BenchmarkAll is what the scribe reads when it looks for what to do, with as many
// pieces waiting as may.
func BenchmarkAll(b *testing.B) {
	r := newRoom(b)
	r.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
		INSERT INTO audio (number, meeting_id, user_id, created_at, start_ms, duration_ms, format, size, sound)
		SELECT 1000000 + i, ?1, ?2, 0, i, 1000, 'wav', 60000, zeroblob(60000) FROM n`, r.id, r.ada.User)
	b.ResetTimer()
	for range b.N {
		if n := len(r.waiting()); n != 2000 {
			b.Fatal(n)
		}
	}
}
