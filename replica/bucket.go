package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// bucket keeps objects in one.
type bucket struct {
	s3     *s3.Client
	name   string
	prefix string
	// credentialed asks for credentials as a request does, which keeps those that it has had.
	credentialed func(context.Context) error
}

// errNoCredentials is what a bucket cannot be asked without. They may come: some hosts
// give them out by a service of their own.
var errNoCredentials = errors.New("no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

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
	return &bucket{s3: c, name: t.bucket, prefix: t.prefix, credentialed: func(ctx context.Context) error {
		_, err := cfg.Credentials.Retrieve(ctx)
		return err
	}}, nil
}

func (b *bucket) get(ctx context.Context, name string) ([]byte, string, error) {
	if err := b.credentialed(ctx); err != nil {
		return nil, "", fmt.Errorf("%w (%w)", errNoCredentials, err)
	}
	key := b.prefix + "/" + name
	out, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if coded, found := errors.AsType[codedError](err); found && coded.ErrorCode() == "NoSuchKey" {
		return nil, "", fs.ErrNotExist
	}
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(out.Body, maxObject))
	return body, tagOf(out.ETag), err
}

func (b *bucket) put(ctx context.Context, name string, body []byte) error {
	key := b.prefix + "/" + name
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(body)})
	return err
}

// lostSwaps are the statuses of swaps that another has been before, or is at now: the
// object is gone, others write it, or it is not the one that was meant.
var lostSwaps = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}

func (b *bucket) swap(ctx context.Context, name string, body []byte, tag string) (string, error) {
	key, any := b.prefix+"/"+name, "*"
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(body)}
	if tag == "" {
		in.IfNoneMatch = &any
	} else {
		in.IfMatch = &tag
	}
	out, err := b.s3.PutObject(ctx, in)
	if coded, found := errors.AsType[codedError](err); found && coded.ErrorCode() == "NoSuchBucket" {
		return "", err
	}
	if status, found := errors.AsType[statusError](err); found && slices.Contains(lostSwaps, status.HTTPStatusCode()) {
		return "", errSwapped
	}
	if err != nil {
		return "", err
	}
	return tagOf(out.ETag), nil
}

// tagOf returns what a server that supports swaps always sends.
func tagOf(etag *string) string {
	if etag == nil {
		return ""
	}
	return *etag
}
