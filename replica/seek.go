package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/benbjohnson/litestream"
	stored "github.com/benbjohnson/litestream/s3"
	"github.com/superfly/ltx"
)

// seeking lists from where it is asked to, with one request as a rule. The client
// itself lists from the first file on: a day of them, twice a minute.
type seeking struct {
	litestream.ReplicaClient
	bucket     *bucket
	generation string // its directory
}

// LTXFiles returns the files of a level that begin at seek or later.
func (c seeking) LTXFiles(ctx context.Context, level int, seek ltx.TXID, useMetadata bool) (ltx.FileIterator, error) {
	if seek == 0 || useMetadata {
		return c.ReplicaClient.LTXFiles(ctx, level, seek, useMetadata)
	}
	prefix := fmt.Sprintf("%s/%s/%04x/", c.bucket.prefix, c.generation, level)
	after := prefix + seek.String() // before every name that begins so
	pages := s3.NewListObjectsV2Paginator(c.bucket.s3, &s3.ListObjectsV2Input{Bucket: &c.bucket.name, Prefix: &prefix, StartAfter: &after})
	var all []*ltx.FileInfo
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			first, last, err := ltx.ParseFilename(path.Base(*o.Key))
			if err != nil {
				continue // something else
			}
			all = append(all, &ltx.FileInfo{Level: level, MinTXID: first, MaxTXID: last, Size: *o.Size, CreatedAt: o.LastModified.UTC()})
		}
	}
	return ltx.NewFileInfoSliceIterator(all), nil
}

// until lists the files that were made before a moment. Those of a level are listed in
// the order in which they were made, so that few are asked when that was: the list says
// only when each was stored, which may have been much later.
type until struct {
	seeking
	at time.Time
}

// LTXFiles returns the files of a level that were made before the moment.
func (c until) LTXFiles(ctx context.Context, level int, seek ltx.TXID, _ bool) (ltx.FileIterator, error) {
	files, err := c.seeking.LTXFiles(ctx, level, seek, false)
	if err != nil {
		return nil, err
	}
	var all []*ltx.FileInfo
	for files.Next() {
		f := *files.Item()
		all = append(all, &f)
	}
	if err := errors.Join(files.Err(), files.Close()); err != nil {
		return nil, err
	}
	var failed error
	n := sort.Search(len(all), func(i int) bool {
		made, err := c.made(ctx, all[i])
		failed = errors.Join(failed, err)
		return !made.Before(c.at)
	})
	for _, f := range all[:n] {
		f.CreatedAt = time.Time{} // before the moment
	}
	return ltx.NewFileInfoSliceIterator(all[:n]), failed
}

// made returns when a file was made.
func (c until) made(ctx context.Context, f *ltx.FileInfo) (time.Time, error) {
	key := fmt.Sprintf("%s/%s/%04x/%s", c.bucket.prefix, c.generation, f.Level, ltx.FormatFilename(f.MinTXID, f.MaxTXID))
	out, err := c.bucket.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket.name, Key: &key})
	if err != nil {
		return time.Time{}, err
	}
	if made, err := time.Parse(time.RFC3339Nano, out.Metadata[stored.MetadataKeyTimestamp]); err == nil {
		return made, nil
	}
	return f.CreatedAt, nil
}

// nothing is a client that stores nothing, for the end of a server that has never
// reached its replica.
type nothing struct{ litestream.ReplicaClient }

// LTXFiles says that the replica cannot be reached.
func (nothing) LTXFiles(context.Context, int, ltx.TXID, bool) (ltx.FileIterator, error) {
	return nil, ErrUnreachable
}

// WriteLTXFile says that the replica cannot be reached.
func (nothing) WriteLTXFile(context.Context, int, ltx.TXID, ltx.TXID, io.Reader) (*ltx.FileInfo, error) {
	return nil, ErrUnreachable
}

// counting tells how much of the files has been read.
type counting struct {
	litestream.ReplicaClient
	read func(bytes int)
}

// OpenLTXFile returns a reader that counts.
func (c counting) OpenLTXFile(ctx context.Context, level int, first, last ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	r, err := c.ReplicaClient.OpenLTXFile(ctx, level, first, last, offset, size)
	if err != nil {
		return nil, err
	}
	return countingReader{r, c.read}, nil
}

type countingReader struct {
	io.ReadCloser
	read func(bytes int)
}

// Read counts what it reads.
func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.read(n)
	return n, err
}

// collect returns the files of a level.
func collect(ctx context.Context, c litestream.ReplicaClient, level int) (all []ltx.FileInfo, err error) {
	files, err := c.LTXFiles(ctx, level, 0, level == snapshots)
	if err != nil {
		return nil, err
	}
	for files.Next() {
		all = append(all, *files.Item())
	}
	return all, errors.Join(files.Err(), files.Close())
}
