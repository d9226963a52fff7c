package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/benbjohnson/litestream"
	"github.com/benbjohnson/litestream/file"
	"github.com/benbjohnson/litestream/s3"
)

// defaultRegion is what servers that are not Amazon's take requests to be for.
const defaultRegion = "us-east-1"

// The parts in which a large file is stored in a bucket, each a request: a few at a
// time are all that is held in memory of it.
const (
	partBytes   = 16 << 20
	partsAtOnce = 2
)

// Target is a place where a replica is kept.
type Target struct {
	directory        string // where it is in a file system, else ""
	bucket, prefix   string
	endpoint, region string
}

// ParseTarget reads file:///directory or s3://bucket/path?endpoint=…&region=…. Who may
// use the bucket comes from the usual variables of AWS, never from the URL.
func ParseTarget(s string) (t Target, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return t, errors.New("it is no URL; write file:///directory or s3://bucket/path")
	}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil || u.Fragment != "":
		return t, errors.New("what follows the path cannot be read; write ?endpoint=…&region=…")
	case u.User != nil:
		return t, errors.New("it must have no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case u.Scheme == "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) || len(query) > 0 || filepath.Clean(u.Path) == "/" {
			return t, errors.New("write file:///directory, with three slashes and nothing behind")
		}
		return Target{directory: filepath.Clean(u.Path)}, nil
	case u.Scheme == "s3":
		return parseBucket(u, query)
	}
	return t, errors.New("write file:///directory or s3://bucket/path")
}

func parseBucket(u *url.URL, query url.Values) (t Target, err error) {
	t.bucket, t.prefix = u.Host, strings.Trim(u.Path, "/")
	if t.bucket == "" || t.prefix == "" || strings.Contains(t.bucket, ":") {
		return t, errors.New("write s3://bucket/path")
	}
	for name, values := range query {
		if !slices.Contains([]string{"endpoint", "region"}, name) || len(values) != 1 || values[0] == "" {
			return t, fmt.Errorf("%s: only endpoint and region may be given, once each", name)
		}
	}
	t.endpoint, t.region = query.Get("endpoint"), query.Get("region")
	if e, err := url.Parse(t.endpoint); t.endpoint != "" && (err != nil || (e.Scheme != "https" && e.Scheme != "http") || e.Host == "" || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.User != nil) {
		return t, errors.New("endpoint: write scheme and host, such as https://fly.storage.tigris.dev")
	}
	if os.Getenv("AWS_CA_BUNDLE") != "" { // the library's own client of HTTP cannot take it
		return t, errors.New("AWS_CA_BUNDLE is set, which cannot be used here; name the certificates by SSL_CERT_FILE instead")
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if t.region == "" {
			t.region = os.Getenv(name)
		}
	}
	if t.region == "" && t.endpoint == "" {
		return t, errors.New("region: name the bucket's region, as in s3://bucket/path?region=eu-central-1, or set AWS_REGION")
	}
	if t.region == "" {
		t.region = defaultRegion
	}
	return t, nil
}

// String returns the place as messages name it.
func (t Target) String() string {
	if t.directory != "" {
		return "file://" + t.directory
	}
	return "s3://" + t.bucket + "/" + t.prefix
}

// objects returns what stores small things at the place.
func (t Target) objects() (objects, error) {
	if t.directory != "" {
		return directory(t.directory), nil
	}
	b, err := newBucket(t)
	if err != nil {
		return nil, fmt.Errorf("replica %s: %w", t, err)
	}
	return b, nil
}

// client returns what stores the files of a generation.
func (t Target) client(generation uint64, log *slog.Logger) (litestream.ReplicaClient, error) {
	under := directoryOf(generation)
	if t.directory != "" {
		c := file.NewReplicaClient(filepath.Join(t.directory, under))
		c.SetLogger(log)
		return c, nil
	}
	// By the URL, because the client knows what some hosts of buckets need.
	query := url.Values{"region": {t.region}}
	if t.endpoint != "" {
		query.Set("endpoint", t.endpoint)
	}
	made, err := s3.NewReplicaClientFromURL("s3", t.bucket, t.prefix+"/"+under, query, nil)
	if err != nil {
		return nil, fmt.Errorf("replica %s: %w", t, err)
	}
	c := made.(*s3.ReplicaClient)
	c.PartSize, c.Concurrency = partBytes, partsAtOnce
	c.AccessKeyID, c.SecretAccessKey = "", "" // the usual chain knows session tokens too
	c.SetLogger(log)
	b, err := newBucket(t)
	if err != nil {
		return nil, fmt.Errorf("replica %s: %w", t, err)
	}
	return seeking{ReplicaClient: c, bucket: b, generation: under}, nil
}

// directoryOf returns where the files of a generation are, below the target.
func directoryOf(generation uint64) string { return fmt.Sprintf("g%d", generation) }
