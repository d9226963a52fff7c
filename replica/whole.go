package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

const (
	// wholeAtOnce is how many files are looked at at a time.
	wholeAtOnce = 8
	// tailBytes is how much of a file's end is read at once: all of its index as a rule.
	tailBytes = 4096
	// indexSizeBytes is the length of the size of the index, which stands before the
	// trailer.
	indexSizeBytes = 8
)

// requireWhole refuses files that do not end as they were written to: the library stops
// the whole process where one ends within its index.
func requireWhole(ctx context.Context, c litestream.ReplicaClient, files []*ltx.FileInfo) error {
	errs := make([]error, len(files))
	turns := make(chan struct{}, wholeAtOnce)
	var looking sync.WaitGroup
	for i, f := range files {
		turns <- struct{}{}
		looking.Go(func() {
			errs[i] = whole(ctx, c, f)
			<-turns
		})
	}
	looking.Wait()
	for _, err := range errs { // the first says enough
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one that was merged meanwhile is looked for elsewhere
			return err
		}
	}
	return nil
}

// whole refuses a file whose end is none. The pages end with an empty header; their
// index, its size and a trailer follow.
func whole(ctx context.Context, c litestream.ReplicaClient, f *ltx.FileInfo) error {
	broken := fmt.Errorf("its file %04x/%s is half written, or damaged", f.Level, ltx.FormatFilename(f.MinTXID, f.MaxTXID))
	const after = indexSizeBytes + ltx.TrailerSize
	room := f.Size - ltx.HeaderSize - ltx.PageHeaderSize - after
	if room < 0 {
		return broken
	}
	tail, err := part(ctx, c, f, max(f.Size-tailBytes, 0), min(f.Size, tailBytes))
	if err != nil {
		return err
	}
	size := binary.BigEndian.Uint64(tail[len(tail)-after:])
	if size > uint64(room) {
		return broken
	}
	end := tail
	if before := len(tail) - after - int(size) - ltx.PageHeaderSize; before >= 0 {
		end = tail[before:]
	} else if end, err = part(ctx, c, f, f.Size-after-int64(size)-ltx.PageHeaderSize, ltx.PageHeaderSize); err != nil {
		return err
	}
	if [ltx.PageHeaderSize]byte(end) != [ltx.PageHeaderSize]byte{} {
		return broken
	}
	return nil
}

// part reads a part of a file.
func part(ctx context.Context, c litestream.ReplicaClient, f *ltx.FileInfo, offset, size int64) ([]byte, error) {
	body, err := c.OpenLTXFile(ctx, f.Level, f.MinTXID, f.MaxTXID, offset, size)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	b := make([]byte, size)
	_, err = io.ReadFull(body, b)
	return b, err
}
