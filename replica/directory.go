package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// directory keeps objects in a file system. Who swaps them is kept apart from others by
// a lock that only those on the same machine see.
type directory string

func (d directory) get(_ context.Context, name string) ([]byte, string, error) {
	body, err := os.ReadFile(filepath.Join(string(d), name))
	sum := sha256.Sum256(body)
	return body, hex.EncodeToString(sum[:]), err
}

func (d directory) put(_ context.Context, name string, body []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	return replace(filepath.Join(string(d), name), body)
}

// replace writes a file for good, so that a power cut leaves it as it was or as it is
// to be.
func replace(path string, body []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d directory) swap(ctx context.Context, name string, body []byte, tag string) (newTag string, err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(string(d), name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	// Who has it needs it for an instant; one that was stopped then keeps all others out.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return "", err
	}
	_, there, err := d.get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		there, err = "", nil
	}
	if err != nil {
		return "", err
	}
	if there != tag {
		return "", errSwapped
	}
	if err := d.put(ctx, name, body); err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}
