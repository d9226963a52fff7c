package handlers_test

// asks lets p ask somebody to connect, and returns the request's id.
func (p *person) asks(other *person) (id string) {
	p.s.t.Helper()
	var c struct{ ID string }
	p.must("POST", "/v1/connections", map[string]any{"userId": other.ID}).into(p.s.t, &c)
	return c.ID
}
