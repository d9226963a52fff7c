package main

import (
	"context"
	"fmt"

	"connvo/db"
)

type checkCommand struct {
	DB string `name:"db" env:"CONNVO_DB" default:"data/connvo.db" help:"The database file; no server may have it open."`
}

// Run checks the whole file and says what is wrong with it.
func (c *checkCommand) Run(ctx context.Context, t terminal) error {
	found, err := db.Check(ctx, c.DB, schema)
	if err != nil {
		return err
	}
	for _, problem := range found {
		if _, err := fmt.Fprintln(t.out, problem); err != nil {
			return err
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("database %s: %d problems", c.DB, len(found))
	}
	_, err = fmt.Fprintf(t.out, "%s: integrity, foreign keys and schema are as they should be\n", c.DB)
	return err
}
