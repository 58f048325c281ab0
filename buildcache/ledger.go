package buildcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// maxLedger bounds the file of a ledger: a blob takes some 150 bytes.
const maxLedger = 256 << 20

// A ledger remembers which blobs were proved, and in which state they were. It
// only saves work: one that cannot be read knows nothing, and one that cannot
// be written is forgotten.
type ledger struct {
	path  string // empty: nothing outlives the process
	known map[digest.Digest]state
}

// LedgerOf is where a program that keeps its things in store remembers what was
// proved of the cache in dir: the same file each time. It is empty, which
// remembers nothing, where store is.
func LedgerOf(store, dir string) string {
	whole, err := filepath.Abs(dir)
	if store == "" || err != nil {
		return ""
	}
	name := sha256.Sum256([]byte(whole))
	return filepath.Join(store, "verified", hex.EncodeToString(name[:8])+".json")
}

func readLedger(path string) *ledger {
	l := &ledger{path: path, known: make(map[digest.Digest]state)}
	if path == "" {
		return l
	}
	data, err := readBounded(filepath.Dir(path), filepath.Base(path), maxLedger)
	if err != nil || json.Unmarshal(data, &l.known) != nil || l.known == nil {
		l.known = make(map[digest.Digest]state)
	}
	return l
}

// proved reports whether d was proved when it was in this state.
func (l *ledger) proved(d digest.Digest, s state) bool {
	was, ok := l.known[d]
	return ok && was == s
}

// write keeps what is known of the blobs that are still there.
func (l *ledger) write(there map[digest.Digest]blob) {
	maps.DeleteFunc(l.known, func(d digest.Digest, _ state) bool { _, ok := there[d]; return !ok })
	if l.path == "" {
		return
	}
	data, err := json.Marshal(l.known)
	if err != nil {
		return
	}
	_ = os.MkdirAll(filepath.Dir(l.path), 0o700)
	_ = writeWhole(l.path, data, 0o600)
}

// writeWhole writes a file so that a kill at any moment leaves the old one or
// the new one.
func writeWhole(path string, data []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	for _, step := range []func() error{func() error { return file.Chmod(mode) }, file.Sync} {
		if err == nil {
			err = step()
		}
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
