package main

import (
	"context"
	"log/slog"

	"connvo/auth"
	"connvo/db"
	"connvo/domain/users"
)

// door is everything that finds out who asks.
type door struct {
	identity
	verifier *auth.Verifier
	seen     *auth.LastSeen
	tokens   *auth.Authenticator
	browsers *auth.Browsers
}

// door returns the door for the people, whose browsers come to origin.
func (c *serveCommand) door(ctx context.Context, d *db.DB, people *users.Store, log *slog.Logger, origin string) (in door, err error) {
	if in.identity, err = c.identity(ctx, d, people, log, origin); err != nil {
		return in, err
	}
	if in.verifier, err = auth.NewVerifier(ctx, in.config); err != nil {
		return in, err
	}
	in.seen = auth.NewLastSeen(people, d.Now, log)
	in.tokens = auth.NewAuthenticator(in.verifier, people, in.directory, in.seen)
	in.browsers = auth.NewBrowsers(in.tokens, in.kit, c.CookiePassword, d.Now, log)
	return in, nil
}
