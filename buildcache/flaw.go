package buildcache

import "github.com/opencontainers/go-digest"

// A What says what is wrong with a part of a cache.
type What string

// The ways in which a part can be bad.
const (
	Missing    What = "missing"    // something refers to it, and it is not there
	Truncated  What = "truncated"  // shorter than what refers to it says
	Corrupt    What = "corrupt"    // its bytes do not match its digest
	Unreadable What = "unreadable" // it cannot be opened or read
	Garbage    What = "garbage"    // it does not parse as what it should be
	Dangling   What = "dangling"   // a manifest that names bad parts
	TooLarge   What = "too-large"  // larger than BuildKit reads
	Unfinished What = "unfinished" // an ingest that nobody goes on with
	Foreign    What = "foreign"    // it does not belong into a cache
	Unproved   What = "unproved"   // there was no time to look at it
)

// A Flaw is one thing that is wrong with a cache.
type Flaw struct {
	Path   string        `json:"path"` // below the folder: blobs/sha256/…
	Digest digest.Digest `json:"digest,omitempty"`
	What   What          `json:"what"`
	Detail string        `json:"detail,omitempty"` // for people
	Size   int64         `json:"size"`             // of the file, in bytes
	Used   bool          `json:"used"`             // an entry of the index needs it
}

// harmless are the flaws that no build ever notices.
var harmless = map[What]bool{Unfinished: true, Foreign: true}

// Harms reports whether the flaw can make a build fail or miss the cache.
func (f Flaw) Harms() bool { return !harmless[f.What] }
