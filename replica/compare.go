package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/superfly/ltx"
)

// pagesAtOnce is how many pages of the database are read in one transaction.
const pagesAtOnce = 256

// lockPage is the number of the page that SQLite leaves empty, for pages of 4 KiB.
const lockPage = 1<<30/pageBytes + 1

// pageBytes is the size of a page of our databases.
const pageBytes = 4096

// differing returns the numbers of the pages in which the restored file and the
// database differ. Those that were changed since are among them.
func (r *Replica) differing(ctx context.Context, restored string) (numbers []uint32, err error) {
	f, err := os.Open(restored)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	buffer := make([]byte, pagesAtOnce*pageBytes)
	for first := uint32(1); ctx.Err() == nil; first += pagesAtOnce {
		held, err := io.ReadFull(f, buffer)
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		have, err := r.source.Pages(ctx, int64(first), pagesAtOnce)
		if err != nil {
			return nil, err
		}
		want := buffer[:held]
		for i := range uint32(pagesAtOnce) {
			inFile, inReplica := int(i) < len(have), int(i)*pageBytes < held
			if !inFile && !inReplica {
				return numbers, nil
			}
			number := first + i
			same := inFile && inReplica && bytes.Equal(have[i], want[int(i)*pageBytes:min(int(i+1)*pageBytes, held)])
			if !same && number != lockPage {
				numbers = append(numbers, number)
			}
		}
	}
	return nil, ctx.Err()
}

// changedSince leaves out the pages that the transactions after one have changed, up
// to another that the replica holds, and those that the database has no more.
func (r *Replica) changedSince(ctx context.Context, numbers []uint32, after, upTo uint64) (left []uint32, err error) {
	changed, end := map[uint32]bool{}, ^uint32(0)
	files, err := r.client.LTXFiles(ctx, litestream0, ltx.TXID(after+1), false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }()
	for files.Next() {
		f := files.Item()
		if uint64(f.MaxTXID) > upTo {
			break
		}
		if end, err = r.pagesOf(ctx, f, changed); err != nil {
			return nil, err
		}
	}
	if err := files.Err(); err != nil {
		return nil, err
	}
	for _, number := range numbers {
		if number <= end && !changed[number] {
			left = append(left, number)
		}
	}
	return left, nil
}

// pagesOf adds the pages that a file holds, and returns how many the database has
// after it.
func (r *Replica) pagesOf(ctx context.Context, f *ltx.FileInfo, pages map[uint32]bool) (end uint32, err error) {
	if err := whole(ctx, r.client, f); err != nil {
		return 0, err
	}
	body, err := r.client.OpenLTXFile(ctx, f.Level, f.MinTXID, f.MaxTXID, 0, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	d := ltx.NewDecoder(body)
	if err := d.DecodeHeader(); err != nil {
		return 0, fmt.Errorf("transaction %d: %w", f.MaxTXID, err)
	}
	var header ltx.PageHeader
	for data := make([]byte, d.Header().PageSize); ; {
		switch err := d.DecodePage(&header, data); {
		case err == io.EOF:
			return d.Header().Commit, d.Close()
		case err != nil:
			return 0, fmt.Errorf("transaction %d: %w", f.MaxTXID, err)
		}
		pages[header.Pgno] = true
	}
}
