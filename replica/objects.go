package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
)

// objects is where small things are kept beside Litestream's files.
type objects interface {
	// get returns an object and a tag that each content has of its own; fs.ErrNotExist
	// where there is none.
	get(ctx context.Context, name string) (body []byte, tag string, err error)
	put(ctx context.Context, name string, body []byte) error
	// swap stores an object in the place of the one with the tag, of none where it is "",
	// and returns its own. Of all who swap the same one succeeds, and the others
	// get errSwapped.
	swap(ctx context.Context, name string, body []byte, tag string) (newTag string, err error)
}

// errSwapped is what the object is not any more that was to be replaced.
var errSwapped = errors.New("the object has changed")

// marker says whose replica it is.
type marker struct {
	Database string `json:"database"`
}

const (
	markerName = "connvo.json"
	// maxObject is many times what an object has.
	maxObject = 64 << 10
)

// marker returns whose replica it is; found is false where there is none.
func (r *Replica) marker(ctx context.Context) (m marker, found bool, err error) {
	body, _, err := r.objects.get(ctx, markerName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, r.requireEmpty(ctx)
	}
	if err != nil {
		return m, false, r.explain(err)
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Database == "" {
		return m, false, fmt.Errorf("replica %s: its %s cannot be read", r.target, markerName)
	}
	return m, true, nil
}

// requireEmpty refuses a place in which somebody else's files are.
func (r *Replica) requireEmpty(ctx context.Context) error {
	all := r.known()
	if len(all) == 0 {
		all = []Generation{{Number: 1}} // one whose lease is gone has that at least
	}
	held, err := r.newestHeld(ctx, all)
	if err == nil && held.Generation != 0 {
		err = fmt.Errorf("replica %s: there are files in it, but none that says whose they are (%s)", r.target, markerName)
	}
	return err
}

func (r *Replica) mark(ctx context.Context, m marker) error {
	body, _ := json.Marshal(m) // strings always encode
	if err := r.objects.put(ctx, markerName, body); err != nil {
		return r.explain(err)
	}
	return nil
}

// codedError and statusError are what the client of a bucket tells of an answer.
type codedError interface {
	error
	ErrorCode() string
}

type statusError interface {
	error
	HTTPStatusCode() int
}

// finalStatus are the statuses of answers that time does not change.
var finalStatus = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}

// refusals are the answers of a bucket that time does not change, and what they mean.
var refusals = map[string]string{
	"NoSuchBucket":          "there is no such bucket",
	"InvalidAccessKeyId":    "the credentials are refused; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
	"SignatureDoesNotMatch": "the credentials are refused; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
	"AccessDenied":          "the credentials do not allow it",
	"Forbidden":             "the credentials do not allow it",
	"InvalidBucketName":     "the bucket's name is none",
}

// explain turns what the client of a bucket says into one line.
func (r *Replica) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, ErrTaken) {
		return err
	}
	if errors.Is(err, errNoCredentials) {
		return fmt.Errorf("replica %s: %w: %w", r.target, ErrUnreachable, err)
	}
	if coded, found := errors.AsType[codedError](err); found {
		meaning, final := refusals[coded.ErrorCode()]
		status, _ := errors.AsType[statusError](err)
		if !final && status != nil && slices.Contains(finalStatus, status.HTTPStatusCode()) {
			meaning, final = "the request is refused", true
		}
		if final {
			return fmt.Errorf("replica %s: %s (%s)", r.target, meaning, coded.ErrorCode())
		}
	}
	if errors.Is(err, errUnreadable) {
		return fmt.Errorf("replica %s: %w", r.target, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("replica %s: this user may not read or write there", r.target)
	}
	if op, found := errors.AsType[*net.OpError](err); found {
		err = op
	}
	return fmt.Errorf("replica %s: %w: %w", r.target, ErrUnreachable, err)
}
