package flags

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"connvo/domain"
)

// defaultOf returns the setting of a flag that nobody has changed, and false for a
// key that is no flag's.
func defaultOf(key Key) (Setting, bool) {
	for _, k := range known {
		if k.key == key {
			return Setting{Enabled: true, Percentage: MaxPercentage, Organizations: []string{}, Users: []domain.UserID{}, Description: k.description}, true
		}
	}
	return Setting{}, false
}

// allows reports whether the flag is on for the user, of the organization org.
func (s Setting) allows(key Key, org string, user domain.UserID) bool {
	if !s.Enabled {
		return false
	}
	return bucket(key, user) < s.Percentage || slices.Contains(s.Users, user) || slices.Contains(s.Organizations, org)
}

// bucket returns the place of a user, from 0 to MaxPercentage-1. It is the same in
// every process, so that a greater percentage only adds people; and another for
// each flag, so that not always the same people are the first. The digest spreads
// ids that differ in one character.
func bucket(key Key, user domain.UserID) int {
	sum := sha256.Sum256([]byte(string(key) + "\x00" + string(user)))
	return int(binary.BigEndian.Uint64(sum[:8]) % MaxPercentage)
}
