package main

import (
	"context"
)

// engine is what GET /v1/admin/streams tells of the live queries.
type engine struct {
	Connections, Paths      float64
	Runs, Unchanged, Shared float64 // since the server began
}

// engine asks for it as an administrator of an organization of the bench.
func (t *target) engine(ctx context.Context) (engine, error) {
	l := t.line()
	defer l.close()
	var signed struct{ AccessToken string }
	in := map[string]string{"email": "bench-admin@example.com", "name": "Bench Admin", "orgId": "org_bench", "orgRole": "admin"}
	if err := l.call(ctx, request{method: "POST", path: "/dev/token"}, in, &signed); err != nil {
		return engine{}, err
	}
	var got engine
	err := l.call(ctx, request{method: "GET", path: "/v1/admin/streams", token: signed.AccessToken}, nil, &got)
	return got, err
}

// reruns measures how many runs of live queries there are, and how many of them change nothing.
type reruns struct {
	t      *target
	absent bool
	before engine
}

func (r *reruns) begin(ctx context.Context) (err error) {
	r.before, err = r.t.engine(ctx)
	if notOffered(err) {
		r.absent, err = true, nil
	}
	return err
}

// end adds the figures to res, or a note where the server has none.
func (r *reruns) end(ctx context.Context, res *result) error {
	if r.absent {
		res.note("GET /v1/admin/streams is not offered by this server: the re-runs that change nothing are not known")
		return nil
	}
	after, err := r.t.engine(ctx)
	if err != nil {
		return err
	}
	runs, unchanged := after.Runs-r.before.Runs, after.Unchanged-r.before.Unchanged
	res.add("re-runs", runs, "", goal{})
	res.add("deliveries from a shared read", after.Shared-r.before.Shared, "", goal{})
	if runs > 0 {
		res.add("re-runs that change nothing", 100*unchanged/runs, "%", below(5).of(sloReruns))
	}
	return nil
}
