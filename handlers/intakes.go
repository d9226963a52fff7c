package handlers

import (
	"sync"

	"connvo/domain"
)

// The bounds of requests that stay open and send lines.
const (
	// MaxIntakesPerUser is the meetings that one bot listens to at a time.
	MaxIntakesPerUser = 100
	// MaxIntakes is one for each of the meetings that a small machine holds, and as
	// many again.
	MaxIntakes = 2000
)

// intakes counts the requests that stay open and send lines.
type intakes struct {
	mu  sync.Mutex // guards the rest
	of  map[domain.UserID]int
	all int
}

// begin counts one of the user's, or refuses it.
func (i *intakes) begin(user domain.UserID) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.of[user] >= MaxIntakesPerUser:
		return domain.Fail(domain.RateLimited, "a user may send lines in %d requests at once", MaxIntakesPerUser)
	case i.all >= MaxIntakes:
		return domain.Fail(domain.Unavailable, "the server takes lines of as many requests as it can")
	}
	i.of[user]++
	i.all++
	return nil
}

// open returns how many there are.
func (i *intakes) open() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.all
}

// end ends what begin began.
func (i *intakes) end(user domain.UserID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.of[user]--; i.of[user] == 0 {
		delete(i.of, user)
	}
	i.all--
}
