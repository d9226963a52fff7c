package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"connvo/domain"
)

// edit registers a write that changes a document which people edit: If-Match
// makes it happen only to the one that the caller has seen, and the answer says
// how to name the new one. current is the query of the document's GET, do answers
// with the document as it is afterwards.
func edit[In, Out any](s *Server, r route, current, do func(ctx context.Context, who domain.Actor, in *In) (Out, error)) {
	register(s, r, operation[In, Out]{do: do, current: current})
}

// tagOf returns the strong ETag of an answer.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches reports whether an If-None-Match header names the tag; the comparison
// is the weak one of RFC 9110, section 13.1.2.
func matches(headers []string, tag string) bool {
	return oneOf(headers, func(part string) bool { return strings.TrimPrefix(part, "W/") == tag })
}

// oneOf reports whether one of the headers' tags is the one, or all are.
func oneOf(headers []string, is func(part string) bool) bool {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		if part = strings.TrimSpace(part); part == "*" || is(part) {
			return true
		}
	}
	return false
}

// requireCurrent refuses a caller whose If-Match does not name the document as
// it is; the comparison is the strong one of RFC 9110, section 13.1.1.
func (w writing) requireCurrent(ctx context.Context, conditions []string) error {
	document, err := w.current(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	tag := tagOf(body)
	if oneOf(conditions, func(part string) bool { return part == tag }) {
		return nil
	}
	return newProblem(http.StatusPreconditionFailed, "it has changed since; read it again and decide anew")
}

// describePrecondition writes If-Match into an operation.
func describePrecondition(op *huma.Operation, status int) {
	op.Parameters = append(op.Parameters, headerParam("If-Match", "The ETag of the document that the change is meant for: 412 when it is another by now.", 1024))
	op.Responses[strconv.Itoa(status)].Headers["ETag"] = header("Names the document as it is now, for the next If-Match.")
}
