package actcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// find answers a look-up: from here where the key itself is here, else from
// whoever has the better answer, GitHub within its budget. What it returns is
// here, proved; or only known to be somewhere, for a client who exports.
func (c call) find(ctx context.Context, keys []string, version string) (entry, bool, error) {
	scopes, err := c.readable()
	if err != nil {
		return entry{}, false, err
	}
	if len(keys) > maxKeys {
		return entry{}, false, invalid(fmt.Errorf("%d keys, more than %d", len(keys), maxKeys))
	}
	for _, key := range keys {
		if err := checkKey(key, version); err != nil {
			return entry{}, false, err
		}
	}
	shelves := make([]shelf, 0, len(scopes)+1)
	for _, scope := range scopes {
		shelves = append(shelves, shelf{c.grant.Repository, scope, version})
	}
	if c.GitHub != nil {
		shelves = append(shelves, c.fetched(version))
	}
	best, ok := c.here(keys, shelves)
	if c.GitHub != nil && (!ok || best.key != keys[0]) {
		if e, better := c.ask(ctx, keys, version, best, ok); better {
			best, ok = e, true
		}
	}
	c.count(Event{Hit: ok, GitHub: ok && best.fresh, Key: cmp.Or(best.key, keys[0]), Bytes: best.size})
	return best, ok, nil
}

// here returns the best answer that the store has.
func (c call) here(keys []string, shelves []shelf) (entry, bool) {
	// A digest is the beginning of nothing, and there are many of them.
	layer := digestOf(keys[0]) != ""
	for i, s := range shelves {
		if i > 0 && !layer {
			break
		}
		if e, ok := c.entries.get(s, keys[0]); ok && c.entries.whole(e, !c.export) {
			return e, true
		}
	}
	if layer {
		return entry{}, false
	}
	lists := make([][]entry, len(shelves))
	for i, s := range shelves {
		lists[i] = c.entries.on(s)
	}
	for _, e := range match(keys, lists) {
		if c.entries.whole(e, !c.export) {
			return e, true
		}
	}
	return entry{}, false
}

// fetched is the shelf of what GitHub gave to a token with these scopes:
// which of them an entry is of, GitHub does not say.
func (c call) fetched(version string) shelf {
	scopes := c.grant.readable()
	slices.Sort(scopes)
	return shelf{c.grant.Repository, "github:" + digest.FromString(strings.Join(scopes, "\n")).Encoded(), version}
}

// ask returns GitHub's answer where it is better than e, which is what there is
// if ok, and its content is here.
func (c call) ask(ctx context.Context, keys []string, version string, e entry, ok bool) (entry, bool) {
	key, from, err := c.GitHub.lookup(ctx, keys, version)
	if err != nil {
		c.warnOf("look up", err)
		return entry{}, false
	}
	if key == "" || word("key", key, maxKey) != nil || ok && !prefersGitHub(keys, e, key) {
		return entry{}, false
	}
	if digestOf(keys[0]) != "" && key != keys[0] {
		return entry{}, false
	}
	on := c.fetched(version)
	if have, ok := c.entries.get(on, key); ok && c.entries.whole(have, !c.export) {
		return have, true
	}
	if c.export {
		return entry{shelf: on, key: key, digest: digestOf(key), fresh: true}, true
	}
	return c.bring(ctx, entry{shelf: on, key: key}, from)
}

// bring fetches an entry of GitHub's into the store. Equal requests share one
// fetch, which outlives its first caller.
func (c call) bring(ctx context.Context, e entry, from string) (entry, bool) {
	done := c.flights.DoChan(e.name(), func() (any, error) {
		e := e
		var err error
		if e.digest, e.size, err = c.GitHub.download(c.ctx, c.Store, e.key, from); err != nil {
			return nil, err
		}
		e.at, e.number, e.sent, e.fresh = time.Now(), newNumber(), true, true
		if err := c.entries.add(e); err != nil {
			return nil, err
		}
		return e, nil
	})
	select {
	case r := <-done:
		if r.Err != nil {
			c.warnOf("fetch "+e.key, r.Err)
			return entry{}, false
		}
		return r.Val.(entry), true
	case <-ctx.Done():
		return entry{}, false
	}
}

// warnOf says what GitHub did not do, but for what was said when it began.
func (c call) warnOf(what string, err error) {
	if !errors.Is(err, errLeftAlone) {
		c.warn("GitHub's cache service: %s: %v", what, err)
	}
}
