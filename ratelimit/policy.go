package ratelimit

import "time"

// Policy is what somebody may do, and how often.
type Policy uint8

// The policies. Those of addresses count callers whom nobody knows yet.
const (
	None          Policy = iota // nothing is counted
	API                         // every request of a user
	Messages                    // a message of a user
	Notes                       // a request of a user that changes notes
	Chunks                      // a chunk of a transcript that a user sends
	MeetingChunks               // a chunk of the transcript of a meeting, whoever sends it
	Audio                       // a piece of speech of a user
	Meetings                    // a new meeting of a user
	Search                      // a search of a user
	Generation                  // something that a user has made of the content of a meeting
	Strangers                   // a request of an address that authenticates nobody
	SignIn                      // an address that begins to sign in
	Session                     // an address that ends signing in, or signs out
	Unknown                     // an entry of the record about somebody who is not known, whoever they are
)

// rule is what a policy allows: a burst, which comes back evenly in the window.
type rule struct {
	name    string // on the wire and in the database
	burst   int
	window  time.Duration // whole seconds
	address bool          // it counts addresses, not users
}

// rules is the table of all policies. A new one is a constant, a line here, and
// its name in a route.
var rules = [...]rule{
	None:     {},
	API:      {name: "api", burst: 1000, window: time.Minute},
	Messages: {name: "messages", burst: 20, window: 4 * time.Second},
	Notes:    {name: "notes", burst: 60, window: 3 * time.Second},
	Chunks:   {name: "chunks", burst: 200, window: 4 * time.Second},
	// It is counted by the id of the meeting, which is none of a user.
	MeetingChunks: {name: "meeting-chunks", burst: 200, window: 2 * time.Second},
	Meetings:      {name: "meetings", burst: 20, window: time.Minute},
	Search:        {name: "search", burst: 100, window: time.Minute},
	Generation:    {name: "generation", burst: 10, window: 5 * time.Minute},
	Strangers:     {name: "unauthenticated", burst: 60, window: time.Minute, address: true},
	SignIn:        {name: "sign-in", burst: 10, window: time.Minute, address: true},
	Session:       {name: "session", burst: 60, window: time.Minute, address: true},
	// However many addresses somebody has, they do not fill the disk.
	Unknown: {name: "unknown", burst: 600, window: time.Minute},
	// Who speaks without a pause in pieces of a second; what a break has held up.
	Audio: {name: "audio", burst: 30, window: 30 * time.Second},
}

// each is the time in which one more comes back.
func (r rule) each() int64 { return int64(r.window) / int64(r.burst) }

// named returns the policy of the name.
func named(name string) (Policy, bool) {
	for p, r := range rules {
		if r.name == name && Policy(p) != None {
			return Policy(p), true
		}
	}
	return None, false
}
