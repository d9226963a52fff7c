package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/oklog/ulid/v2"
)

// owned is what is kept beside a file about what it is the original of.
type owned struct {
	Owner string `json:"owner"` // as the lease names it
	// Machine is where it was written: a copy of the file on another is not this one.
	Machine    string `json:"machine,omitempty"`
	Replica    string `json:"replica"`
	Generation uint64 `json:"generation"` // that the file was copied to last
}

func ownedPath(path string) string { return path + ".owner" }

// readOwned returns what is beside the file, with a new owner and no generation where
// that is nothing, or of another machine; and no generation where it is of another
// replica.
func readOwned(path, replica, machine string) (o owned, err error) {
	fresh := owned{Owner: ulid.Make().String(), Machine: machine, Replica: replica}
	text, err := os.ReadFile(ownedPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return o, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fresh, nil // it tells of a file that is gone
	}
	if err := json.Unmarshal(text, &o); err != nil || o.Owner == "" {
		return o, fmt.Errorf("%s cannot be read, so that nobody knows how far the database was copied; remove it, and name another place for the replica or move the database away", ownedPath(path))
	}
	if o.Machine != machine {
		fresh.Generation = o.Generation
		if o.Replica != replica {
			fresh.Generation = 0
		}
		return fresh, nil
	}
	if o.Replica != replica {
		o.Replica, o.Generation = replica, 0
	}
	return o, nil
}

func (o owned) write(path string) error {
	text, _ := json.Marshal(o) // strings and numbers always encode
	return replace(ownedPath(path), text)
}
