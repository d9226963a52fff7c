package replica_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"connvo/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTarget(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	for _, c := range []struct{ url, want, wrong string }{
		{"file:///var/replica", "file:///var/replica", ""},
		{"file:///var/replica/", "file:///var/replica", ""},
		{"s3://bucket/path?region=eu-central-1", "s3://bucket/path", ""},
		{"s3://bucket/deep/path/?endpoint=https://fly.storage.tigris.dev", "s3://bucket/deep/path", ""},
		{"s3://bucket/path?endpoint=http://127.0.0.1:7070&region=auto", "s3://bucket/path", ""},

		{"", "", "write file:///directory or s3://bucket/path"},
		{"replica", "", "write file:///directory or s3://bucket/path"},
		{"ftp://host/path", "", "write file:///directory or s3://bucket/path"},
		{"s3://bucket/%zz", "", "it is no URL"},
		{"file://replica", "", "with three slashes"},
		{"file:replica", "", "with three slashes"},
		{"file:///", "", "with three slashes"},
		{"file:///var/replica?endpoint=x", "", "with three slashes"},
		{"s3://bucket", "", "write s3://bucket/path"},
		{"s3://bucket/", "", "write s3://bucket/path"},
		{"s3:///path", "", "write s3://bucket/path"},
		{"s3://bucket:80/path", "", "write s3://bucket/path"},
		{"s3://bucket/path", "", "name the bucket's region"},
		{"s3://key:secret@bucket/path?region=a", "", "it must have no credentials"},
		{"s3://bucket/path?region=a&region=b", "", "once each"},
		{"s3://bucket/path?region=", "", "once each"},
		{"s3://bucket/path?secret=hush", "", "only endpoint and region"},
		{"s3://bucket/path?region=a;b", "", "cannot be read"},
		{"s3://bucket/path?region=a#b", "", "cannot be read"},
		{"s3://bucket/path?endpoint=127.0.0.1:7070", "", "endpoint: write scheme and host"},
		{"s3://bucket/path?endpoint=https://key@host", "", "endpoint: write scheme and host"},
	} {
		target, err := replica.ParseTarget(c.url)
		switch {
		case c.wrong == "" && (err != nil || target.String() != c.want):
			t.Errorf("%s: %v, %v", c.url, target, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: %v, want %s", c.url, err, c.wrong)
		case err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "hush")):
			t.Errorf("%s: %v", c.url, err)
		}
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := replica.ParseTarget("s3://bucket/path"); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_CA_BUNDLE", "/etc/authority.pem")
	if _, err := replica.ParseTarget("s3://bucket/path"); err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") {
		t.Error(err)
	}
}
