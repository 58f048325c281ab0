package actcache

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// A shelf is where entries stand that are looked up together.
type shelf struct{ repository, scope, version string }

// An entry is what was saved under a key.
type entry struct {
	shelf
	key    string
	digest digest.Digest
	size   int64
	at     time.Time // when it was made
	number int64     // of GitHub's kind: positive, and exact in JavaScript
	sent   bool      // GitHub has it too
	fresh  bool      // it came from there just now
}

// name is what the store calls the entry: no part of it holds a newline.
func (e entry) name() string {
	return strings.Join([]string{"actions", e.repository, e.scope, e.version, e.key}, "\n")
}

func (e entry) record() cas.Name {
	note := map[string]string{"number": strconv.FormatInt(e.number, 10)}
	if e.sent {
		note["sent"] = "yes"
	}
	return cas.Name{Digest: e.digest, Size: e.size, At: e.at, Note: note}
}

func entryOf(name string, n cas.Name) (entry, bool) {
	parts := strings.Split(name, "\n")
	if len(parts) != 5 || parts[0] != "actions" {
		return entry{}, false
	}
	number, err := strconv.ParseInt(n.Note["number"], 10, 64)
	return entry{shelf: shelf{parts[1], parts[2], parts[3]}, key: parts[4], digest: n.Digest, size: n.Size,
		at: n.At, number: number, sent: n.Note["sent"] != ""}, err == nil
}

// newNumber returns a number that nobody can guess.
func newNumber() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return int64(binary.BigEndian.Uint64(b[:])>>12) + 1
}

// tick is more than what the clock of a disk may take for one moment.
const tick = 100 * time.Millisecond

// entries are those of a store, which other processes add to as well.
type entries struct {
	store *cas.Store

	mu      sync.Mutex
	changed time.Time // the names that were read are those of this time
	read    time.Time // when they were
	shelves map[shelf][]entry
}

// get returns the entry of a key, and whether there is one. Its content may be
// gone.
func (e *entries) get(s shelf, key string) (entry, bool) {
	wanted := entry{shelf: s, key: key}
	n, err := e.store.Name(wanted.name())
	if err != nil {
		return entry{}, false
	}
	return entryOf(wanted.name(), n)
}

// on lists the entries on a shelf, newest first. Names are read again only
// when some have changed: there may be thousands.
func (e *entries) on(s shelf) []entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed, err := e.store.Changed()
	if err != nil {
		return nil // a store that cannot be read has nothing
	}
	if !changed.Equal(e.changed) || e.read.Sub(changed) < tick {
		e.changed, e.read = changed, time.Now()
		e.shelves = e.readAll()
	}
	return e.shelves[s]
}

func (e *entries) readAll() map[shelf][]entry {
	names, err := e.store.Names("actions\n")
	if err != nil {
		return nil
	}
	all := make(map[shelf][]entry)
	for _, name := range names {
		n, err := e.store.Name(name)
		if err != nil {
			continue // it went meanwhile
		}
		if one, ok := entryOf(name, n); ok {
			all[one.shelf] = append(all[one.shelf], one)
		}
	}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b entry) int { return b.at.Compare(a.at) })
	}
	return all
}

func (e *entries) add(one entry) error { return e.store.SetName(one.name(), one.record()) }

// whole reports whether the content of an entry is there: proved, or at least
// present. An entry without content is forgotten, so that it can be made anew.
func (e *entries) whole(one entry, prove bool) bool {
	var err error
	if prove {
		var c *cas.Content
		if c, err = e.store.Get(one.digest); err == nil {
			_ = c.Close() // only read
		}
	} else {
		_, err = e.store.Stat(one.digest)
	}
	if errors.Is(err, fs.ErrNotExist) {
		_ = e.store.Remove(one.name()) // else it is found missing again
	}
	return err == nil
}
