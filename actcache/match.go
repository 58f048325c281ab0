package actcache

import (
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// match lists the entries that answer a look-up, best first. Shelves come in
// the order of their scopes, entries on them newest first. A scope is searched
// for all keys before the next one is; the first key is taken to the letter
// before it is taken for the beginning of others (GitHub's documentation,
// "Matching a cache key").
func match(keys []string, shelves [][]entry) []entry {
	var found []entry
	for _, list := range shelves {
		for i, key := range keys {
			if i == 0 {
				found = append(found, choose(list, func(e entry) bool { return e.key == key })...)
			}
			found = append(found, choose(list, func(e entry) bool { return strings.HasPrefix(e.key, key) })...)
		}
	}
	return found
}

// mostTries is how many entries of a kind are looked at: those whose content
// is gone are passed over.
const mostTries = 8

func choose(list []entry, ok func(entry) bool) []entry {
	var some []entry
	for _, e := range list {
		if len(some) < mostTries && ok(e) {
			some = append(some, e)
		}
	}
	return some
}

// rank says how good an answer is: 0 is the key itself.
func rank(keys []string, key string) int {
	if len(keys) > 0 && key == keys[0] {
		return 0
	}
	for i, k := range keys {
		if strings.HasPrefix(key, k) {
			return i + 1
		}
	}
	return math.MaxInt
}

// prefersGitHub reports whether GitHub's answer to a look-up is better than
// one from here. GitHub does not tell when an entry was made: of two that are
// as good, the higher number is newer, as BuildKit counts its indexes; else
// what GitHub does not know yet was made here, just now.
func prefersGitHub(keys []string, here entry, there string) bool {
	a, b := rank(keys, here.key), rank(keys, there)
	if a != b {
		return b < a
	}
	if here.key == there {
		return false
	}
	base, n, ok := numbered(here.key)
	otherBase, m, otherOK := numbered(there)
	if ok && otherOK && base == otherBase {
		return m > n
	}
	return here.sent
}

// numbered takes "index-app-1-0abc#12" apart.
func numbered(key string) (base string, n int, ok bool) {
	i := strings.LastIndexByte(key, '#')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(key[i+1:])
	return key[:i], n, err == nil
}

// blobKey begins the keys under which BuildKit saves layers: the digest of the
// content follows (cache/remotecache/gha).
const blobKey = "buildkit-blob-"

// digestOf returns the digest that a key promises of its content, or "".
func digestOf(key string) digest.Digest {
	rest, ok := strings.CutPrefix(key, blobKey)
	if !ok {
		return ""
	}
	_, text, _ := strings.Cut(rest, "-")
	d, err := digest.Parse(text)
	if err != nil || d.Algorithm() != digest.SHA256 {
		return ""
	}
	return d
}
