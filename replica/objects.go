package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// objects is where small things are kept beside Litestream's files.
type objects interface {
	// get returns fs.ErrNotExist where there is no such object.
	get(ctx context.Context, name string) ([]byte, error)
	put(ctx context.Context, name string, body []byte) error
}

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
	body, err := r.objects.get(ctx, markerName)
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
	for level := litestream0; level <= snapshots; level++ {
		files, err := r.client.LTXFiles(ctx, level, 0, false)
		if err != nil {
			return r.explain(err)
		}
		some := files.Next()
		err = errors.Join(files.Err(), files.Close())
		if err != nil {
			return r.explain(err)
		}
		if some {
			return fmt.Errorf("replica %s: there are files in it, but none that says whose they are (%s)", r.target, markerName)
		}
	}
	return nil
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
	if err == nil || errors.Is(err, context.Canceled) {
		return err
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
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("replica %s: this user may not read or write there", r.target)
	}
	if op, found := errors.AsType[*net.OpError](err); found {
		err = op
	}
	return fmt.Errorf("replica %s: %w: %w", r.target, ErrUnreachable, err)
}

// directory keeps objects in a file system.
type directory string

func (d directory) get(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), name))
}

func (d directory) put(_ context.Context, name string, body []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	path := filepath.Join(string(d), name)
	if err := os.WriteFile(path+".tmp", body, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// bucket keeps objects in one.
type bucket struct {
	s3     *s3.Client
	name   string
	prefix string
}

func newBucket(t Target) (*bucket, error) {
	// Read before anything is asked, so that it takes no time.
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(t.region))
	if err != nil {
		return nil, err
	}
	c := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if t.endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &t.endpoint, true
		}
	})
	return &bucket{s3: c, name: t.bucket, prefix: t.prefix}, nil
}

func (b *bucket) get(ctx context.Context, name string) ([]byte, error) {
	key := b.prefix + "/" + name
	out, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if coded, found := errors.AsType[codedError](err); found && coded.ErrorCode() == "NoSuchKey" {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(io.LimitReader(out.Body, maxObject))
}

func (b *bucket) put(ctx context.Context, name string, body []byte) error {
	key := b.prefix + "/" + name
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(body)})
	return err
}
