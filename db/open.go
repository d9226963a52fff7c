package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/oklog/ulid/v2"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// SchemaVersion is the PRAGMA user_version of the files this build reads and
// writes. Until the first release the schema has no migrations: a file made
// with another schema is refused.
const SchemaVersion = 1

// applicationID is PRAGMA application_id: "cnvo", so that file(1) and we can
// tell our files from others.
const applicationID = 0x636e766f

const (
	pageSize = 4096
	// cacheKiB is the page cache of each connection.
	cacheKiB = 8 << 10
	// quickCheckBytes is the largest file that is checked whole at the start:
	// 64 MiB take less than a second. Beyond it, connvo check does.
	quickCheckBytes = 64 << 20
)

// dsn names the file with the settings that every connection needs; set any
// other way they would hold for one connection of the pool only.
func dsn(o Options) string {
	left := walFileBytes
	if o.Replicated {
		left = -1 // see Replicate
	}
	q := url.Values{
		"_txlock":    {"immediate"},
		"_defensive": {"1"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			fmt.Sprintf("page_size(%d)", pageSize),
			"synchronous(FULL)",
			"foreign_keys(ON)",
			"trusted_schema(OFF)",
			"secure_delete(ON)", // what is deleted is overwritten, not only forgotten
			"temp_store(MEMORY)",
			fmt.Sprintf("cache_size(-%d)", cacheKiB),
			"wal_autocheckpoint(0)", // see boundLog
			fmt.Sprintf("journal_size_limit(%d)", left),
		},
	}
	if o.MaxPages > 0 {
		q["_pragma"] = append(q["_pragma"], fmt.Sprintf("max_page_count(%d)", o.MaxPages))
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: o.Path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// useOpenFileDescriptionLocks keeps SQLite's locks when some other descriptor
// of the file is closed in this process, where the kernel can.
func useOpenFileDescriptionLocks(log *slog.Logger) {
	if sqlite.OFDLockingEnabled() {
		return
	}
	if _, err := sqlite.OFDLocking(true); err != nil && !errors.Is(err, sqlite.ErrOFDLockingTooLate) {
		log.Debug("no open file description locks", "error", err)
	}
}

// fileHeader is how every SQLite database begins.
const fileHeader = "SQLite format 3\x00"

// checkHeader refuses a file that is no database before anything is put beside
// it. Nothing of this process holds a lock on the file yet that closing it could
// drop.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // there is none, or what is wrong shows when it is opened to be written
	}
	defer func() { _ = f.Close() }()
	header := make([]byte, len(fileHeader))
	n, err := io.ReadFull(f, header)
	if err == io.EOF || string(header[:n]) == fileHeader {
		return nil // an empty file becomes a database
	}
	if _, isPath := errors.AsType[*fs.PathError](err); isPath {
		return nil // a directory, say
	}
	return fmt.Errorf("database %s: the file is not a SQLite database", path)
}

// onlyName returns the path of the file without symbolic links, so that a file
// has one lock and one log whatever it is called by. What else is wrong with
// path shows when the file is locked.
func onlyName(path string) (string, error) {
	name, err := filepath.EvalSymlinks(path)
	if err == nil {
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("database %s: it is a symbolic link to a file that does not exist", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path, nil
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// absent reports whether there is nothing at path.
func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// claim makes this process the owner of the database at path and returns the one
// name that the file has.
func claim(path string, log *slog.Logger) (name string, release func() error, err error) {
	useOpenFileDescriptionLocks(log)
	if name, err = onlyName(path); err != nil {
		return "", nil, err
	}
	if err := checkHeader(name); err != nil {
		return "", nil, err
	}
	if release, err = lockFile(name); err != nil {
		return "", nil, err
	}
	if err := checkFile(name); err != nil {
		return "", nil, errors.Join(err, release())
	}
	return name, release, nil
}

// lockFile makes this process the owner of the database at path, until it
// releases the lock or ends, however it ends.
func lockFile(path string) (release func() error, err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist) && absent(filepath.Dir(path)):
		return nil, fmt.Errorf("database %s: the directory %s does not exist", path, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("database %s: the directory %s cannot be written by this user", path, filepath.Dir(path))
	case err != nil:
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("database %s: another process has it open", path)
		}
		return nil, fmt.Errorf("database %s: lock: %w", path, err)
	}
	// The file stays: removing it would let a third process lock a new one
	// while a second still waits for this one.
	return f.Close, nil
}

// checkFile refuses what SQLite would take for a database or make into one by
// mistake, and makes the file where there is none.
func checkFile(path string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeFile(path)
	case err != nil:
		return fmt.Errorf("database %s: %w", path, err)
	case !fi.Mode().IsRegular():
		return fmt.Errorf("database %s: it is not a regular file", path)
	case names(fi) > 1:
		// By another name it would have another lock and another log.
		return fmt.Errorf("database %s: the file has %d names (hard links); remove all but one", path, names(fi))
	}
	if err := syscall.Access(path, 0x2 /* W_OK */); err != nil {
		return fmt.Errorf("database %s: the file cannot be written by this user", path)
	}
	return nil
}

// names returns how many directory entries lead to a file.
func names(fi fs.FileInfo) uint64 {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) // its type depends on the platform
	}
	return 1
}

// makeFile makes an empty file that only this user reads: it will hold what
// people say, and keys. SQLite gives its log the same rights.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	return nil
}

// prepareSchema makes the schema in an empty file, or checks that the file has
// it, and returns the last number of the sequence.
func prepareSchema(ctx context.Context, conn *sql.Conn, o Options) (last int64, err error) {
	var version, app, tables int64
	for pragma, v := range map[string]*int64{
		"PRAGMA user_version":                &version,
		"PRAGMA application_id":              &app,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := conn.QueryRowContext(ctx, pragma).Scan(v); err != nil {
			return 0, err
		}
	}
	if tables == 0 && version == 0 {
		if err := createSchema(ctx, conn, o.Schema); err != nil {
			return 0, err
		}
	} else if err := checkSchema(ctx, conn, o, version, app); err != nil {
		return 0, err
	}
	if err := writeAhead(ctx, conn); err != nil {
		return 0, err
	}
	if o.Replicated {
		if err := keepLog(conn); err != nil {
			return 0, err
		}
	}
	if _, err := conn.ExecContext(ctx, nameDatabase, ulid.Make().String()); err != nil {
		return 0, err
	}
	err = conn.QueryRowContext(ctx, "SELECT last FROM sequence WHERE id = 1").Scan(&last)
	return last, err
}

func createSchema(ctx context.Context, conn *sql.Conn, schema string) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf(
		"BEGIN IMMEDIATE;\n%s;\nINSERT INTO sequence (id, last) VALUES (1, 0);\nINSERT INTO meta (key, value) VALUES ('schema', '%s');\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT",
		schema, digest(schema), applicationID, SchemaVersion))
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

// writeAhead makes the file one with a write-ahead log. That is a property of
// the file, so only one that is known to be ours is given it.
func writeAhead(ctx context.Context, conn *sql.Conn) error {
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return refusal("its file system cannot hold a write-ahead log")
	}
	return nil
}

// refusal is a complete sentence about why a file cannot be used.
type refusal string

// Error returns the sentence.
func (r refusal) Error() string { return string(r) }

func checkSchema(ctx context.Context, conn *sql.Conn, o Options, version, app int64) error {
	if app != applicationID {
		return refusal("the file is a SQLite database, but not one of connvo")
	}
	if version > SchemaVersion {
		return refusal(fmt.Sprintf("the file has schema version %d, newer than version %d of this build; use a newer connvo", version, SchemaVersion))
	}
	var made string
	if err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'schema'").Scan(&made); err != nil {
		return err
	}
	if version < SchemaVersion || made != digest(o.Schema) {
		return refusal("the file was made by a build with another schema; before the first release there are no migrations: move the file away or use that build")
	}
	return checkPages(ctx, conn, o)
}

// checkPages finds damage: everywhere in a small file, else only a file that
// was cut off.
func checkPages(ctx context.Context, conn *sql.Conn, o Options) error {
	var pages int64
	if err := conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	// Pages may still be in the write-ahead log only, so copy it back first. One
	// that is to be copied elsewhere stays as it is.
	if !o.Replicated {
		if _, err := conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return err
		}
	}
	bytes, err := size(o.Path)
	if err != nil {
		return err
	}
	if log, _ := size(o.Path + "-wal"); bytes < pages*pageSize && log == 0 {
		return refusal(fmt.Sprintf("the file is damaged: it has %d bytes of %d; restore it from a backup", bytes, pages*pageSize))
	}
	if bytes > quickCheckBytes {
		return nil
	}
	var found string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return refusal("the file is damaged (" + lastLine(found) + "); restore it from a backup")
	}
	return nil
}

// openError turns whatever kept the file from opening into one line that tells
// the operator what to do.
func openError(path string, err error) error {
	if r, found := errors.AsType[refusal](err); found {
		return fmt.Errorf("database %s: %w", path, r)
	}
	if e, found := errors.AsType[*sqlite.Error](err); found {
		switch e.Code() & 0xff {
		case sqlitelib.SQLITE_NOTADB:
			return fmt.Errorf("database %s: the file is not a SQLite database", path)
		case sqlitelib.SQLITE_CORRUPT:
			return fmt.Errorf("database %s: the file is damaged; restore it from a backup", path)
		case sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_PERM:
			return fmt.Errorf("database %s: the file or its directory cannot be written by this user", path)
		case sqlitelib.SQLITE_BUSY:
			return fmt.Errorf("database %s: another process has it open", path)
		case sqlitelib.SQLITE_FULL:
			return fmt.Errorf("database %s: the disk is full", path)
		}
	}
	return fmt.Errorf("database %s: %w", path, err)
}

// digest names a schema; white space at its ends does not matter.
func digest(schema string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(schema)))
	return hex.EncodeToString(sum[:])
}

// lastLine returns the line of an integrity report that says what is wrong;
// those before it are headings.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndex(s, "\n")+1:]
}
