package gomod

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/singleflight"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

// A database is the checksum database that the settings name.
type database struct {
	name     string
	key      string // NAME+HASH+KEY; empty where only the name is known: then it proves nothing here
	upstream gateway.Upstream

	verifier note.Verifier // nil without a key
	find     func(context.Context, gateway.Asset) (*gateway.Body, error)

	mu     sync.Mutex
	latest []byte        // the newest signed head of its tree that was proved
	client *sumdb.Client // nil without a key
	asleep time.Time     // until then nothing is looked up

	lookups singleflight.Group
}

// newDatabase reads a value as GOSUMDB has it.
func newDatabase(value string, base http.RoundTripper) (*database, error) {
	fields := strings.Fields(value)
	if len(fields) == 0 || fields[0] == "off" {
		return nil, nil
	}
	if len(fields) > 2 {
		return nil, fmt.Errorf("%q has more than a key and an address", value)
	}
	d := new(database)
	var isKey bool
	if d.name, _, isKey = strings.Cut(fields[0], "+"); isKey {
		v, err := note.NewVerifier(fields[0])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", fields[0], err)
		}
		d.key, d.verifier, d.name = fields[0], v, v.Name()
	}
	if !databaseName.MatchString(d.name) {
		return nil, fmt.Errorf("%q is no name of a database", d.name)
	}
	address := "https://" + d.name
	if len(fields) == 2 {
		address = fields[1]
	}
	u, err := upstream(address, base)
	if err != nil {
		return nil, err
	}
	root := u.Base
	u.Origin = true
	u.Locate = func(a gateway.Asset) (string, bool) {
		rest, ok := strings.CutPrefix(a.Path, fromDatabase+d.name+"/")
		return root + rest, ok && rest != "supported"
	}
	d.upstream = u
	return d, nil
}

// prepare readies the look-up of hashes.
func (d *database) prepare(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	d.find = find
	if d.verifier != nil {
		d.client = sumdb.NewClient(remote{d})
	}
}

const (
	// lookupLimit is how long a module waits for a database to vouch for it. It
	// is served without, where that takes longer: the go command asks, too.
	lookupLimit = 3 * time.Second
	// lookupRest is how long a database is left alone that could not be asked.
	lookupRest = 30 * time.Second
)

// lookup returns the lines of go.sum for a module's version, proved down to the
// signature of the database.
func (d *database) lookup(ctx context.Context, path, version string) ([]string, error) {
	d.mu.Lock()
	client, asleep := d.client, time.Now().Before(d.asleep)
	d.mu.Unlock()
	if client == nil || asleep {
		return nil, errNoDatabase
	}
	done := d.lookups.DoChan(path+"@"+version, func() (any, error) { return client.Lookup(path, version) })
	limit := time.NewTimer(lookupLimit)
	defer limit.Stop()
	got := singleflight.Result{Err: errNoDatabase}
	select {
	case got = <-done:
	case <-limit.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if got.Err != nil {
		d.restart(client, got.Err)
		return nil, got.Err
	}
	return got.Val.([]string), nil
}

// restart forgets what failed, which the client would remember without end. A
// database that said no is awake.
func (d *database) restart(failed *sumdb.Client, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client != failed {
		return
	}
	d.client = sumdb.NewClient(remote{d})
	if fault.Of(err) != fault.NotFound {
		d.asleep = time.Now().Add(lookupRest)
	}
}

var (
	databaseName = regexp.MustCompile(`^[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?:/[a-z0-9._-]+)*$`)
	databasePath = regexp.MustCompile(`^(.+)/(supported|latest|lookup/[^?#]+|tile/[0-9]+/(?:[0-9]+|data)/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]+)?)$`)
)

// sums returns the asset of a path below sumdb/.
func (p *Protocol) sums(path string) (gateway.Asset, error) {
	m := databasePath.FindStringSubmatch(path)
	if m == nil || !databaseName.MatchString(m[1]) {
		return gateway.Asset{}, notFound("%.200q is no path of a checksum database", path)
	}
	name, what := m[1], m[2]
	if lookup, ok := strings.CutPrefix(what, "lookup/"); ok {
		escaped, version, _ := strings.Cut(lookup, "@")
		path, err := module.UnescapePath(escaped)
		if err == nil {
			version, err = module.UnescapeVersion(version)
		}
		if err == nil {
			err = module.Check(path, version)
		}
		if err != nil {
			return gateway.Asset{}, notFound("%v", err)
		}
		if module.MatchPrefixPatterns(p.settings.NoSum, path) {
			return gateway.Asset{}, notFound("%s is private: no checksum database is asked for it", path)
		}
	}
	var known *database
	if p.database != nil && p.database.name == name {
		known = p.database
	}
	return sumAsset(name, what, known), nil
}

// sumAsset is what a database says. Neither an answer nor a tile is proved by
// itself, and the go command proves them all: so each counts for a while only,
// and a wrong one is gone when its sender is well again.
func sumAsset(name, what string, known *database) gateway.Asset {
	return gateway.Asset{
		Key:    fromDatabase + name + "/" + what,
		Name:   name + " " + what,
		Origin: fromDatabase + name,
		Path:   fromDatabase + name + "/" + what,
		Small:  true,
		Fresh:  fresh,
		Check:  func(body []byte) error { return checkSums(what, body, known) },
	}
}

// checkSums judges the form of what a database says, and its signature where
// the key is known.
func checkSums(what string, body []byte, known *database) error {
	head := body
	switch {
	case what == "supported":
		return nil
	case strings.HasPrefix(what, "tile/"):
		t, err := tlog.ParseTilePath(what)
		if err != nil {
			return wrong("%v", err)
		}
		if t.L >= 0 && len(body) != t.W*tlog.HashSize {
			return wrong("a tile of %d bytes, not %d", len(body), t.W*tlog.HashSize)
		}
		return nil
	case strings.HasPrefix(what, "lookup/"):
		var err error
		if _, _, head, err = tlog.ParseRecord(body); err != nil {
			return wrong("no record of a checksum database: %v", err)
		}
	}
	if known != nil && known.verifier != nil {
		if _, err := note.Open(head, note.VerifierList(known.verifier)); err != nil {
			return wrong("the signature of %s: %v", known.name, err)
		}
	}
	if _, err := tlog.ParseTree(head); err != nil {
		return wrong("no head of a tree: %v", err)
	}
	return nil
}

// known returns the hash that the checksum database has for the file that q
// asks for, proved down to the database's signature.
func (p *Protocol) known(ctx context.Context, q request) (string, error) {
	d := p.database
	if d == nil || module.MatchPrefixPatterns(p.settings.NoSum, q.module) {
		return "", errNoDatabase
	}
	version := q.version
	if q.kind == modKind {
		version += "/go.mod"
	}
	lines, err := d.lookup(ctx, q.module, version)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if sum, ok := strings.CutPrefix(line, q.module+" "+version+" "); ok {
			return sum, nil
		}
	}
	return "", errNoDatabase
}

// remote lets the client of the checksum database read by the mirror. Nothing
// is kept but the head of the tree: the store has the rest.
type remote struct{ d *database }

// ReadRemote is sumdb.ClientOps's.
func (r remote) ReadRemote(path string) ([]byte, error) {
	b, err := r.d.find(context.Background(), sumAsset(r.d.name, strings.TrimPrefix(path, "/"), r.d))
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(b.Open())
}

// ReadConfig is sumdb.ClientOps's.
func (r remote) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(r.d.key), nil
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	return r.d.latest, nil
}

// WriteConfig is sumdb.ClientOps's.
func (r remote) WriteConfig(_ string, old, new []byte) error {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if !bytes.Equal(r.d.latest, old) {
		return sumdb.ErrWriteConflict
	}
	r.d.latest = new
	return nil
}

// ReadCache is sumdb.ClientOps's.
func (remote) ReadCache(file string) ([]byte, error) {
	return nil, fmt.Errorf("%s: nothing is kept", file)
}

// WriteCache is sumdb.ClientOps's.
func (remote) WriteCache(string, []byte) {}

// Log is sumdb.ClientOps's.
func (remote) Log(string) {}

// SecurityError is sumdb.ClientOps's: the look-up fails, and nothing is vouched for.
func (remote) SecurityError(string) {}
