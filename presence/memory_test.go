package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"connvo/domain"
)

// When the last is gone, nothing is held and nothing goes on.
func TestNothingIsLeftOfWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBoard(time.Now, time.Second, func(domain.MeetingID) {})
		for i := range 1000 {
			if err := b.Put(domain.MeetingID(fmt.Sprint(i%100)), domain.UserID(fmt.Sprint(i)), time.Time{}, State{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.mu.Lock()
		if len(b.rooms) != 100 || b.order.Len() != 1000 || b.expiry == nil {
			t.Errorf("%d rooms of %d signs, a timer: %v", len(b.rooms), b.order.Len(), b.expiry != nil)
		}
		b.mu.Unlock()
		time.Sleep(TTL + time.Second)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.rooms) != 0 || b.order.Len() != 0 || b.expiry != nil {
			t.Errorf("%d rooms of %d signs, a timer: %v", len(b.rooms), b.order.Len(), b.expiry != nil)
		}
	})
}
