package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/benbjohnson/litestream"
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
