package handlers

import (
	"context"
	"strconv"

	"connvo/audit"
	"connvo/domain"
	"connvo/jobs"
)

// job is a job as an admin sees it.
type job struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	Name      *string    `json:"name"`
	State     jobs.State `json:"state" enum:"waiting,running,dead"`
	Attempts  int        `json:"attempts" doc:"How many have failed."`
	CreatedAt string     `json:"createdAt" format:"date-time"`
	RunAt     *string    `json:"runAt" format:"date-time" doc:"When it is due, or was; null of a dead one."`
	DiedAt    *string    `json:"diedAt" format:"date-time"`
	LastError *string    `json:"lastError" doc:"The beginning of why the last attempt has failed."`
}

type jobList struct {
	Items      []job   `json:"items"`
	NextCursor *string `json:"nextCursor"`
}

type jobsInput struct {
	ListParams
	State string `query:"state" enum:"waiting,running,dead" doc:"Only jobs in this state."`
	Kind  string `query:"kind" maxLength:"200" doc:"Only jobs of this kind."`
}

type jobRetry struct {
	JobID string `path:"jobId" maxLength:"64" doc:"The job's id."`
}

func (s *Server) jobRoutes() {
	get(s, route{path: "/v1/admin/jobs", id: "listJobs", tag: "Administration", every: figuresEvery,
		summary: "The jobs of my organization",
		about:   "For admins, newest first: what is to be done, and what has failed for good. A job is the organization's when it is about one of its meetings; what it is to do with is not told. Live: at most once a second."}, s.listJobs)
	write(s, route{path: "/v1/admin/jobs/{jobId}/retry", id: "retryJob", tag: "Administration", audits: audit.JobRetried,
		summary: "Try a dead job again", about: "For admins. It is given as many attempts as a new one; 409 where it is not dead, or another of its name waits."}, s.retryJob)
}

func (s *Server) listJobs(ctx context.Context, who domain.Actor, in *jobsInput) (jobList, error) {
	f := jobs.Filter{State: jobs.State(in.State), Kind: in.Kind, Limit: in.Limit}
	key, err := domain.Cursor(in.Cursor).Key(1)
	if err != nil {
		return jobList{}, err
	}
	if key != nil {
		f.Below, _ = strconv.ParseInt(key[0], 10, 64) // one that is made up begins anew
	}
	list, more, err := s.Jobs.List(ctx, who, f)
	if err != nil {
		return jobList{}, err
	}
	page := jobList{Items: make([]job, len(list))}
	for i, e := range list {
		page.Items[i] = jobOf(e)
	}
	if more {
		next := string(domain.NewCursor(page.Items[len(list)-1].ID))
		page.NextCursor = &next
	}
	return page, nil
}

func (s *Server) retryJob(ctx context.Context, who domain.Actor, in *jobRetry) (job, error) {
	id, err := strconv.ParseInt(in.JobID, 10, 64)
	if err != nil {
		id = 0 // no job's, but rights are decided first
	}
	e, err := s.Jobs.Retry(ctx, who, id)
	return jobOf(e), err
}

func jobOf(e jobs.Entry) job {
	j := job{
		ID: strconv.FormatInt(e.ID, 10), Kind: e.Kind, Name: text(e.Name), State: e.State, Attempts: e.Attempts,
		CreatedAt: instant(e.CreatedAt), LastError: text(e.LastError),
	}
	if e.State == jobs.StateDead {
		j.DiedAt = maybe(e.RunAt)
	} else {
		j.RunAt = maybe(e.RunAt)
	}
	return j
}
