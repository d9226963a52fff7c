package handlers

import "net/http"

// answer notes the status of an answer, for the log.
type answer struct {
	http.ResponseWriter
	call   *call
	status int
}

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK { // else the answer is still to come
		a.begin(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write notes the status that it implies.
func (a *answer) Write(b []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.ResponseWriter.Write(b)
}

func (a *answer) begin(status int) {
	if a.status != 0 {
		return
	}
	if a.status = status; a.call.cookieless {
		a.Header().Del("Set-Cookie")
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discarded is an answer that nobody gets.
type discarded struct {
	header http.Header
	status int
	body   []byte // its beginning
}

// maxDiscarded is more than a problem document has.
const maxDiscarded = 64 << 10

// Header returns the header that is thrown away.
func (d *discarded) Header() http.Header { return d.header }

// WriteHeader notes the status.
func (d *discarded) WriteHeader(status int) { d.status = status }

// Write takes everything.
func (d *discarded) Write(b []byte) (int, error) {
	d.body = append(d.body, b[:min(len(b), maxDiscarded-len(d.body))]...)
	return len(b), nil
}
