package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReplicaThatIsAway is waited for by those who ask for it, and by nobody else; what
// was written meanwhile goes there when it is back.
func TestReplicaThatIsAway(t *testing.T) {
	t.Parallel()
	s := newS3(t)
	d := newDrill(t, s.url(s3Bucket))
	d.start("--new")
	d.said.await(t, "the replica holds everything")
	want := []string{"before", "away", "asked while away", "away at the start", "back"}
	if status, applied := d.plan(want[0], true); status != http.StatusCreated || !applied {
		t.Errorf("%d %t", status, applied)
	}
	s.stop()
	if status, applied := d.plan(want[1], false); status != http.StatusCreated || applied {
		t.Errorf("%d %t", status, applied)
	}
	if status, applied := d.plan(want[2], true); status != http.StatusServiceUnavailable || !applied {
		t.Errorf("%d %t", status, applied)
	}
	d.said.await(t, "the replica is behind")
	d.kill()

	d.run("--lease=strict")
	d.said.await(t, `the replica does not answer; nothing is served until it does.*cannot be reached`)
	d.kill()

	// Away at a start: the file is served, and nothing is made up where it is missing.
	d.start()
	d.said.await(t, "serving without a replica until it answers")
	if status, _ := d.plan(want[3], false); status != http.StatusCreated {
		t.Error(status)
	}
	lost := newDrill(t, s.url(s3Bucket))
	if line := lost.refused(); !regexp.MustCompile(`^connvo: replica s3://bucket/connvo: the replica cannot be reached: .*; there is no database .*, and it cannot be restored$`).MatchString(line) {
		t.Error(line)
	}
	if line := lost.refused("--new"); !strings.Contains(line, "cannot be reached") {
		t.Error(line)
	}
	if _, err := os.Stat(lost.file()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a database was made where data was expected")
	}

	s.start()
	d.said.await(t, "the replica holds everything")
	if status, applied := d.plan(want[4], true); status != http.StatusCreated || !applied {
		t.Errorf("%d %t", status, applied)
	}
	d.kill()
	d.lose()
	d.start()
	kept := d.titles()
	for _, title := range want {
		if kept[title] != 1 {
			t.Errorf("%q is lost", title)
		}
	}
	d.end()
}

// TestReplicaThatIsRefused says why in one line, and makes no database.
func TestReplicaThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newS3(t)
	d := newDrill(t, s.url(s3Bucket))
	for _, c := range []struct {
		url, variable, want string
		flags               []string
	}{
		{s.url(s3Bucket), "", `connvo: replica s3://bucket/connvo: the replica is empty, and there is no database .*; say --new to begin with an empty one`, nil},
		{s.url("none"), "", `connvo: replica s3://none/connvo: there is no such bucket \(NoSuchBucket\); there is no database .*`, []string{"--new"}},
		{s.url(s3Bucket), "AWS_SECRET_ACCESS_KEY=wrong", `connvo: replica s3://bucket/connvo: the credentials are refused; .* \(SignatureDoesNotMatch\); .*`, []string{"--new"}},
		{s.url(s3Bucket), "AWS_ACCESS_KEY_ID=wrong", `connvo: replica s3://bucket/connvo: the request is refused \(XAdminUserNotFound\); .*`, []string{"--new"}},
		{s.url(s3Bucket), "AWS_ACCESS_KEY_ID=", `connvo: replica s3://bucket/connvo: the replica cannot be reached: no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \(.*\); there is no database .*`, []string{"--new"}},
	} {
		d.url = c.url
		env := d.env
		d.env = append(d.env, c.variable)
		if line := d.refused(c.flags...); !regexp.MustCompile("^" + c.want + "$").MatchString(line) {
			t.Errorf("%s, want %s", line, c.want)
		}
		d.env = env
		if _, err := os.Stat(d.file()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a database was made", c.want)
		}
	}
	// With a file the same mistakes are refused, too: they do not pass by themselves.
	d.url = s.url(s3Bucket)
	d.start("--new")
	d.said.await(t, "the replica holds everything")
	d.end()
	d.url = s.url("none")
	if line := d.refused(); !strings.Contains(line, "there is no such bucket") {
		t.Error(line)
	}
	other := newDrill(t, "file://"+t.TempDir())
	other.binary = os.Args[0] // which complains of goroutines that are left
	other.start("--new")
	other.end()
	other.url = s.url(s3Bucket)
	if line := other.refused(); !strings.Contains(line, "it holds another database than") {
		t.Error(line)
	}
}
