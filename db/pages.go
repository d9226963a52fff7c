package db

import "context"

// selectPages answers the pages from one to another; those beyond the end of the file
// are not among them. Its plan says whole table: it is a table of SQLite's own that takes
// the number as an index.
const selectPages = `WITH RECURSIVE wanted(number) AS (
  VALUES (?)
  UNION ALL
  SELECT number + 1
  FROM wanted
  WHERE number < ?
)
SELECT data
FROM wanted
CROSS JOIN sqlite_dbpage
WHERE pgno = number`

// Pages returns pages of the file as they are now, whether they are in it or in its log
// still: n of them from first on, which is 1 for the first there is, or fewer where the
// file ends. It reads in a transaction of its own, of a few milliseconds for 256 pages.
func (d *DB) Pages(ctx context.Context, first int64, n int) (pages [][]byte, err error) {
	err = d.Read(ctx, func(tx Reader) error {
		pages, err = All(tx, scanPage, selectPages, first, first+int64(n)-1)
		return err
	})
	return pages, err
}

func scanPage(r Row) (page []byte, err error) {
	err = r.Scan(&page)
	return page, err
}
