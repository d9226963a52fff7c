package main

import (
	"context"
)

const organization = "org_bench" // of everyone in the bench

// engine is what GET /v1/admin/streams tells of the live connections that are open now.
type engine struct {
	Connections, Paths      float64
	Runs, Unchanged, Shared float64 // since each was opened
}

// engine asks for it as an administrator of the organization of the bench.
func (t *target) engine(ctx context.Context) (engine, error) {
	l := t.line()
	defer l.close()
	var signed struct{ AccessToken string }
	in := person{Email: "bench-admin@example.com", Name: "Bench Admin", OrgID: organization, OrgRole: "admin"}
	if err := l.call(ctx, request{method: "POST", path: "/dev/token"}, in, &signed); err != nil {
		return engine{}, err
	}
	var got engine
	err := l.call(ctx, request{method: "GET", path: "/v1/admin/streams?limit=1", token: signed.AccessToken}, nil, &got)
	return got, err
}

// reruns measures how many runs of live queries there are, and how many of them change nothing, while the same streams
// are open.
type reruns struct {
	t             *target
	absent        bool
	before, after engine
}

func (r *reruns) begin(ctx context.Context) (err error) {
	r.before, err = r.t.engine(ctx)
	if notOffered(err) {
		r.absent, err = true, nil
	}
	return err
}

func (r *reruns) end(ctx context.Context) (err error) {
	if !r.absent {
		r.after, err = r.t.engine(ctx)
	}
	return err
}

// figures adds what was measured to res, or a note where the server has none.
func (r *reruns) figures(res *result) {
	if r.absent {
		res.note("GET /v1/admin/streams is not offered by this server: the re-runs that change nothing are not known")
		return
	}
	runs, unchanged := r.after.Runs-r.before.Runs, r.after.Unchanged-r.before.Unchanged
	res.add("connections, as the server counts them", r.after.Connections, "", goal{})
	res.add("re-runs", runs, "", goal{})
	res.add("deliveries from a shared read", r.after.Shared-r.before.Shared, "", goal{})
	if runs > 0 {
		res.add("re-runs that change nothing", 100*unchanged/runs, "%", below(5).of(sloReruns))
	}
}
