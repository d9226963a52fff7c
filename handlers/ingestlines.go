package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"connvo/db"
	"connvo/domain"
	"connvo/domain/transcripts"
	"connvo/domain/users"
)

const (
	// retryFull is how soon what does not fit is tried again.
	retryFull = 50 * time.Millisecond
	// maxRetries is how often what the database cannot take is.
	maxRetries = 100
)

// describeLines adds to the OpenAPI document how chunks are sent in lines.
func (s *Server) describeLines() {
	doc := s.api.OpenAPI()
	op := doc.Paths[transcriptPath].Post
	op.RequestBody.Content[ndjson] = &huma.MediaType{Schema: &huma.Schema{Ref: chunkSchema}}
	op.Responses["200"].Content[ndjson] = &huma.MediaType{Schema: doc.Components.Schemas.Schema(reflect.TypeFor[lineAnswer](), true, "LineAnswer")}
}

// errNoJSON is what a line is refused with that is not JSON: the sender and the
// server do not agree where lines end.
var errNoJSON = errors.New("not JSON")

// chunkSchema is what a chunk must be, in the OpenAPI document.
const chunkSchema = "#/components/schemas/ChunkDraft"

// parseLine reads a chunk. An error is errNoJSON, or what is wrong with it.
func (s *Server) parseLine(text []byte, err error) (d transcripts.Draft, wrong error) {
	if err != nil {
		return d, newProblem(http.StatusRequestEntityTooLarge, err.Error())
	}
	var any any
	if !utf8.Valid(text) || json.Unmarshal(text, &any) != nil {
		return d, errNoJSON
	}
	result := huma.ValidateResult{}
	registry := s.api.OpenAPI().Components.Schemas
	huma.Validate(registry, registry.SchemaFromRef(chunkSchema), huma.NewPathBuffer([]byte("line"), 4), huma.ModeWriteToServer, any, &result)
	if len(result.Errors) > 0 {
		p := newProblem(http.StatusUnprocessableEntity, "validation failed")
		for _, err := range result.Errors {
			if detail, found := errors.AsType[*huma.ErrorDetail](err); found {
				p.Errors = append(p.Errors, fieldError{Location: detail.Location, Message: detail.Message})
			}
		}
		return d, p
	}
	var sent chunkDraft
	if err := json.Unmarshal(text, &sent); err != nil {
		return d, newProblem(http.StatusUnprocessableEntity, "the line is no chunk")
	}
	d = sent.draft()
	return d, inLine(d.Check())
}

// inLine returns err with its field as a place in a line.
func inLine(err error) error {
	e, found := errors.AsType[*domain.Error](err)
	if !found || e.Field == "" {
		return err
	}
	placed := *e
	placed.Field = "line." + strings.TrimPrefix(e.Field, "body.chunks[0].")
	return &placed
}

// store stores what is right of the lines, and returns the answers of all up to an
// error that ends the request.
func (in *intake) store(ctx context.Context, group []line) ([]lineAnswer, error) {
	good := make([]line, 0, len(group))
	for _, l := range group {
		if l.wrong == nil {
			good = append(good, l)
		}
	}
	positions, err := in.append(ctx, good)
	if err != nil && len(group) > 1 && !endsIntake(err) {
		return in.storeEach(ctx, group)
	}
	var answers []lineAnswer
	stored := 0
	for _, l := range group {
		a := lineAnswer{Line: l.number}
		switch {
		case l.wrong != nil:
			a.Problem = in.s.problem(in.r.Context(), l.wrong)
		case err != nil && endsIntake(err):
			return answers, err
		case err != nil:
			a.Problem = in.s.problem(in.r.Context(), inLine(err))
		default:
			if a.Position = positions[stored]; a.Position != 0 {
				a.Advise = adviceOf(in.s.pressure.Advise(in.meeting))
			}
			stored++
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// storeEach is store where one of the lines cannot be stored: each by itself.
func (in *intake) storeEach(ctx context.Context, group []line) (answers []lineAnswer, err error) {
	for _, l := range group {
		a, err := in.store(ctx, []line{l})
		answers = append(answers, a...)
		if err != nil {
			return answers, err
		}
	}
	return answers, nil
}

// endsIntake reports whether an error is about the request rather than a line.
func endsIntake(err error) bool {
	kind := domain.KindOf(err)
	return kind != domain.Invalid && kind != domain.Conflict
}

// append stores the drafts and shows what is not final. Where they do not fit, or
// the database cannot take them now, it waits: reading pauses meanwhile.
func (in *intake) append(ctx context.Context, lines []line) (positions []int64, err error) {
	if len(lines) == 0 {
		return nil, nil
	}
	drafts := make([]transcripts.Draft, len(lines))
	for i, l := range lines {
		drafts[i] = l.draft
	}
	for tries := 0; tries < maxRetries; {
		positions, err = in.tryAppend(drafts, lines[0].read)
		kind := domain.KindOf(err)
		if err == nil || inDoubt(err) || (kind != domain.Unavailable && kind != domain.RateLimited) {
			break
		}
		if kind == domain.Unavailable || ctx.Err() != nil {
			tries++
		}
		time.Sleep(retryFull)
	}
	return positions, err
}

// inDoubt reports whether an error is of what is stored all the same: sent again it would
// be there twice.
func inDoubt(err error) bool {
	_, found := errors.AsType[*db.UnconfirmedError](err)
	return found
}

// tryAppend stores the drafts in one transaction. What was read is stored also
// when the server is about to stop.
func (in *intake) tryAppend(drafts []transcripts.Draft, since time.Time) (positions []int64, err error) {
	if err := in.s.pressure.Begin(in.meeting, len(drafts)); err != nil {
		return nil, err
	}
	defer func() { in.s.pressure.End(in.meeting, len(drafts), since, err == nil) }()
	ctx := in.r.Context()
	var stored transcripts.Appended
	err = in.s.DB.Write(ctx, func(tx *db.WriteTx) (err error) {
		if err := users.RequireStanding(tx, in.who); err != nil {
			return err
		}
		stored, err = in.s.Transcripts.Append(db.Join(ctx, tx), in.who, in.meeting, drafts)
		return err
	})
	if err != nil {
		return nil, err
	}
	in.s.showInterim(in.r.Context(), in.meeting, stored.Interim)
	return stored.Positions, nil
}
