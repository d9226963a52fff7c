package handlers

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"connvo/domain"
	"connvo/ratelimit"
)

// addressLimits are the policies of routes that ask for no token, by pattern:
// there an address is counted. Those of the API stand in their route.
var addressLimits = map[string]ratelimit.Policy{
	"GET /auth/login":    ratelimit.SignIn,
	"GET /auth/callback": ratelimit.Session,
	"POST /auth/logout":  ratelimit.Session,
}

// routeLimit is what the requests of a route are counted by, beside API.
type routeLimit struct {
	policy    ratelimit.Policy
	announced string // RateLimit-Policy, with API
}

// limitRoute notes the policy of a route of the API.
func (s *Server) limitRoute(pattern string, p ratelimit.Policy) {
	limit := routeLimit{policy: p, announced: ratelimit.Announce(ratelimit.API)}
	if p != ratelimit.None {
		limit.announced = ratelimit.Announce(ratelimit.API, p)
	}
	s.routeLimits[pattern] = limit
}

// limitUser counts a request of a user whom the server knows.
func (s *Server) limitUser(h http.Header, user domain.UserID, pattern string) error {
	if s.Limits == nil {
		return nil
	}
	limit := s.routeLimits[pattern]
	var buffer [64]byte
	left := s.Limits.Take(ratelimit.API, string(user))
	field := left.Append(buffer[:0])
	if left.Allowed && limit.policy != ratelimit.None {
		left = s.Limits.Take(limit.policy, string(user))
		field = left.Append(field)
	}
	h["Ratelimit-Policy"], h["Ratelimit"] = []string{limit.announced}, []string{string(field)}
	return tooMany(left)
}

// limitFollowed counts a path that is followed beside others, where its route has
// a policy of its own.
func (s *Server) limitFollowed(user domain.UserID, pattern string) error {
	if s.Limits == nil || s.routeLimits[pattern].policy == ratelimit.None {
		return nil
	}
	return tooMany(s.Limits.Take(s.routeLimits[pattern].policy, string(user)))
}

// limitMany counts n things of who that came in one request, beside the request, and
// adds to the header what is left.
func (s *Server) limitMany(h http.Header, p ratelimit.Policy, who string, n int) error {
	if s.Limits == nil {
		return nil
	}
	left := s.Limits.TakeMany(p, who, n)
	add := func(name, item string) {
		if before := h.Get(name); before != "" {
			item = before + ", " + item
		}
		h.Set(name, item)
	}
	add("RateLimit-Policy", ratelimit.Announce(p))
	add("RateLimit", string(left.Append(nil)))
	return tooMany(left)
}

// limitAddress counts a request of somebody whom the server does not know.
func (s *Server) limitAddress(w http.ResponseWriter, r *http.Request, p ratelimit.Policy) error {
	if s.Limits == nil || p == ratelimit.None {
		return nil
	}
	left := s.Limits.Take(p, ratelimit.Network(callOf(r.Context()).address))
	w.Header().Set("RateLimit-Policy", ratelimit.Announce(p))
	w.Header().Set("RateLimit", string(left.Append(nil)))
	return tooMany(left)
}

// limitStranger returns err, which has kept the caller out, or a 429 in its place
// to an address that has tried too often. Whoever has a valid token is not asked
// for what others of the same address have tried.
func (s *Server) limitStranger(w http.ResponseWriter, r *http.Request, err error) error {
	kind := domain.KindOf(err)
	if kind != domain.Unauthenticated && kind != domain.Forbidden && !errors.Is(err, errSpentTicket) {
		return err
	}
	if limited := s.limitAddress(w, r, ratelimit.Strangers); limited != nil {
		return limited
	}
	return err
}

// tooMany returns the problem of a request that is not allowed.
func tooMany(left ratelimit.Left) error {
	if left.Allowed {
		return nil
	}
	p := problemOf(domain.Fail(domain.RateLimited, "too many requests; Retry-After says when to come again"))
	p.Retry = time.Duration(left.Seconds()) * time.Second
	return p
}

// isTooMany reports whether err is a tooMany.
func isTooMany(err error) bool {
	p, found := errors.AsType[*problem](err)
	return found && p.Status == http.StatusTooManyRequests
}

// address returns where the request came from: the peer, or whom a proxy that is
// believed names.
func (s *Server) address(r *http.Request) string {
	if s.AddressHeader != "" {
		if named := r.Header.Get(s.AddressHeader); named != "" {
			if a, err := netip.ParseAddr(named); err == nil {
				return a.String()
			}
		}
	}
	return peer(r)
}
