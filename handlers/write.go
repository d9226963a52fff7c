package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/users"
	"connvo/idempotency"
)

// nothing is the answer of a write that has none: 204.
type nothing struct{}

// located is an answer that has an address of its own, for 201.
type located interface{ location() string }

// errReplayed ends a write whose answer is known already.
var errReplayed = errors.New("the answer is known")

// write registers an operation that changes the database. do runs inside the
// writer's transaction: it decodes, calls one Store once, and waits for nothing.
func write[In, Out any](s *Server, r route, do func(ctx context.Context, who domain.Actor, in *In) (Out, error)) {
	register(s, r, operation[In, Out]{do: do})
}

// say registers a write whose answer holds what somebody says, which may be
// deleted while the answer is kept for repetitions. So its name is kept alone, and
// a repetition is answered with it as it is then: again returns it.
func say[In any, Out named](s *Server, r route, again func(ctx context.Context, who domain.Actor, in *In, name string) (Out, error),
	do func(ctx context.Context, who domain.Actor, in *In) (Out, error)) {
	register(s, r, operation[In, Out]{do: do, again: again})
}

// named is an answer that can be found again.
type named interface{ name() string }

// operation is what a write does.
type operation[In, Out any] struct {
	do func(ctx context.Context, who domain.Actor, in *In) (Out, error)
	// current, when not nil, is what the caller's GET of the document that it
	// changes would answer now: If-Match is compared with it.
	current func(ctx context.Context, who domain.Actor, in *In) (Out, error)
	// admit, when not nil, is asked once the input is known to be valid, before the
	// transaction: it may wait, and set fields of the answer's header. ended is called
	// afterwards, with what was answered, which is zero for a repetition, or the error.
	admit func(ctx context.Context, h http.Header, who domain.Actor, in *In) (ended func(out Out, err error), err error)
	// again, when not nil, answers a repetition; see say.
	again func(ctx context.Context, who domain.Actor, in *In, name string) (Out, error)
}

func register[In, Out any](s *Server, r route, o operation[In, Out]) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	_, silent := any(*new(Out)).(nothing)
	if silent {
		r.status = http.StatusNoContent
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	_, takesBody := reflect.TypeFor[In]().FieldByName("Body")
	_, takesFile := reflect.TypeFor[In]().FieldByName("RawBody")
	s.routes = append(s.routes, Route{Method: r.method, Path: r.path})
	s.audited[r.method+" "+r.path] = r.audits
	op := s.operation(r, reflect.TypeFor[Out](), "")
	if o.current != nil {
		describePrecondition(&op, r.status)
	}
	huma.Register(s.api, op,
		func(ctx context.Context, in *In) (*huma.StreamResponse, error) {
			c := callOf(ctx)
			if !takesBody && !takesFile && len(c.body) > 0 && strings.TrimSpace(string(c.body)) != "{}" {
				return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", fieldError{"body", "the request takes no body"})
			}
			if at := nullIn(c.body, r.clears); at != "" && r.method == http.MethodPatch {
				return nil, newProblem(http.StatusUnprocessableEntity, "validation failed", fieldError{at, "must not be null; leave out what is to stay as it is"})
			}
			w := writing{in: in}
			if o.current != nil {
				w.current = func(ctx context.Context) (any, error) { return o.current(ctx, c.who, in) }
			}
			if o.again != nil {
				w.again = func(ctx context.Context, name string) (any, error) { return o.again(ctx, c.who, in, name) }
			}
			w.admit = o.admits(ctx, c.who, in)
			w.run = func(ctx context.Context) (any, idempotency.Answer, error) {
				out, err := o.do(ctx, c.who, in)
				a := idempotency.Answer{Status: r.status}
				if err != nil || silent {
					return out, a, err
				}
				if at, ok := any(out).(located); ok && r.status == http.StatusCreated {
					a.Header.Location = at.location()
				}
				a.Body, err = json.Marshal(out)
				return out, a, err
			}
			return s.atHome(func(answer http.ResponseWriter, request *http.Request) { s.answerWrite(answer, request, c, w) }), nil
		})
}

// admits is admit for one input, nil where nothing is asked.
func (o operation[In, Out]) admits(ctx context.Context, who domain.Actor, in *In) func(http.Header) (func(any, error), error) {
	if o.admit == nil {
		return nil
	}
	return func(h http.Header) (func(any, error), error) {
		ended, err := o.admit(ctx, h, who, in)
		return func(out any, err error) {
			made, _ := out.(Out)
			ended(made, err)
		}, err
	}
}

// writing is a write whose input is valid.
type writing struct {
	// run does it and returns what it answers, as the handler has and as it is sent.
	run func(ctx context.Context) (any, idempotency.Answer, error)
	in  any // what was sent, for the record
	// admit is operation's, or nil.
	admit func(h http.Header) (ended func(out any, err error), err error)
	// again returns what a repetition is answered with; nil where that is kept.
	again func(ctx context.Context, name string) (any, error)
	// current is the document that is edited, as the caller's GET answers it; nil
	// where none is.
	current func(ctx context.Context) (any, error)
}

// answerWrite runs a write and answers with what it returns, or returned before.
func (s *Server) answerWrite(w http.ResponseWriter, r *http.Request, c *call, do writing) {
	answer, replayed, err := s.perform(w.Header(), r, c, do)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	h := w.Header()
	if s.Replicated != nil && prefersReplicated(r) {
		if err := s.awaitReplica(r.Context(), answer.Header.Commit); err != nil {
			s.refuse(w, r, err)
			return
		}
		h.Set("Preference-Applied", durabilityReplicated)
	}
	if replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if answer.Header.Location != "" {
		h.Set("Location", answer.Header.Location)
	}
	h.Set("Connvo-Commit", strconv.FormatInt(answer.Header.Commit, 10))
	h.Set("Cache-Control", "no-store")
	if do.current != nil {
		h.Set("ETag", tagOf(answer.Body))
	}
	if answer.Status == http.StatusNoContent {
		w.WriteHeader(answer.Status)
		return
	}
	writeJSON(w, answer.Status, answer.Body)
}

// keyOf returns the idempotency key of the request, "" for none.
func keyOf(r *http.Request) (string, error) {
	sent := r.Header["Idempotency-Key"]
	if len(sent) == 0 {
		return "", nil
	}
	key := strings.Join(sent, " ") // two are no key
	return key, idempotency.CheckKey(key)
}

// perform runs a write, where it is admitted.
func (s *Server) perform(h http.Header, r *http.Request, c *call, do writing) (answer idempotency.Answer, replayed bool, err error) {
	var made any
	if do.admit != nil {
		ended, refused := do.admit(h)
		if refused != nil {
			return answer, false, refused
		}
		defer func() { ended(made, err) }()
	}
	made, answer, replayed, err = s.transact(r, c, do)
	return answer, replayed, err
}

// transact runs a write in one transaction with the keeping of its answer. It
// returns what it has made, nil for a repetition.
func (s *Server) transact(r *http.Request, c *call, do writing) (made any, answer idempotency.Answer, replayed bool, err error) {
	conditions := r.Header.Values("If-Match")
	if len(conditions) > 0 && do.current == nil {
		return nil, answer, false, domain.FailField("header.If-Match", "cannot be told here; only what edits a document takes it")
	}
	key, err := keyOf(r)
	if err != nil {
		return nil, answer, false, err
	}
	kept := idempotency.KeyOf(c.who.User, r.Method, r.URL.Path, key)
	request := idempotency.RequestOf(r.URL.RawQuery, c.body)
	err = s.DB.Write(r.Context(), func(tx *db.WriteTx) (err error) {
		// A log-out or a deactivation may have committed since the caller was asked
		// who they are: while the body came, or the write waited.
		if err := users.RequireStanding(tx, c.who); err != nil {
			return err
		}
		answer, replayed, made = idempotency.Answer{}, false, nil
		joined := db.Join(r.Context(), tx)
		tx.OnDecided(func() (err error) {
			if key != "" {
				answer, replayed, err = s.Kept.Find(tx, tx.Now, kept, request)
			}
			if replayed && do.again != nil {
				err = do.retell(joined, &answer)
			}
			switch {
			case err != nil:
				return err
			case replayed:
				return errReplayed
			case len(conditions) > 0:
				return do.requireCurrent(joined, conditions)
			}
			return nil
		})
		out, fresh, err := do.run(joined)
		if err != nil {
			return err
		}
		if (key != "" || len(conditions) > 0) && !tx.WasDecided() {
			return errors.New("a write that decides nothing takes neither a key nor a condition")
		}
		if err := c.recordWrite(tx, r, do.in, fresh.Header.Location); err != nil {
			return err
		}
		answer, made = fresh, out
		answer.Header.Commit = tx.Number()
		if key == "" {
			return nil
		}
		return s.Kept.Keep(tx, kept, request, do.kept(out, answer))
	})
	if replayed && errors.Is(err, errReplayed) {
		err = nil
	}
	return made, answer, replayed, err
}

// kept returns what is kept of an answer: of one that says something, its name.
func (w writing) kept(out any, a idempotency.Answer) idempotency.Answer {
	if w.again != nil {
		a.Body = []byte(out.(named).name())
	}
	return a
}

// retell puts into a kept answer what its name stands for now.
func (w writing) retell(ctx context.Context, a *idempotency.Answer) error {
	out, err := w.again(ctx, string(a.Body))
	if err != nil {
		return err
	}
	a.Body, err = json.Marshal(out)
	return err
}

// nullIn returns where the body, which is valid JSON, has a null, "" for nowhere.
// huma lets one pass where a member may be left out. What is made may be made with
// it, but a change to null would seem to take something away, and change nothing; but
// for the member of the body that it does take away, "" for none.
func nullIn(body []byte, clears string) string {
	if !bytes.Contains(body, []byte("null")) {
		return ""
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return ""
	}
	if members, ok := v.(map[string]any); ok && clears != "" && members[clears] == nil {
		delete(members, clears)
	}
	return nullAt("body", v)
}

func nullAt(at string, v any) string {
	switch v := v.(type) {
	case nil:
		return at
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if found := nullAt(at+"."+name, v[name]); found != "" {
				return found
			}
		}
	case []any:
		for i, one := range v {
			if found := nullAt(fmt.Sprintf("%s[%d]", at, i), one); found != "" {
				return found
			}
		}
	}
	return ""
}
