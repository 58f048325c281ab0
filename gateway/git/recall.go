package git

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/gateway"
)

// The notes beside an answer: who gave it, and whether that is the repository's
// own server. git asks the same for the same commit, so that the answer is found
// by the request.
const (
	spokenBy   = "from"
	originNote = "origin"
)

// key is what the answer to q with such a body is stored under.
func (q question) key(body []byte) string {
	return fmt.Sprintf("git/%s%s@%s@%x", q.repository, q.end, q.header.Get("Git-Protocol"), sha256.Sum256(body))
}

// prefix is a packet that leaves branches out of a list: a server may show them
// all the same (gitprotocol-v2, "ls-refs").
var prefix = regexp.MustCompile(`[0-9a-f]{4}ref-prefix [^\n]*\n`)

// keys are those of answers to q, the best one first.
func (q question) keys() []string {
	if whole := prefix.ReplaceAll(q.body, nil); q.moves && len(whole) < len(q.body) {
		return []string{q.Key, q.key(whole)}
	}
	return []string{q.Key}
}

// keep stores an answer. A store that cannot be written is skipped.
func (p *Proxy) keep(q question, a answer, origin bool) {
	if p.Store == nil {
		return
	}
	d, err := digest.FromReader(io.NewSectionReader(a, 0, a.size))
	if err != nil || p.Store.Put(d, io.NewSectionReader(a, 0, a.size)) != nil {
		return
	}
	_ = p.Store.SetName(q.Key, cas.Name{Digest: d, Size: a.size, At: time.Now(), Note: map[string]string{spokenBy: a.from, originNote: fmt.Sprint(origin)}})
}

// recall returns what was answered last by one whom the settings still name.
func (p *Proxy) recall(q question) (answer, error) {
	if p.Store == nil {
		return answer{}, fs.ErrNotExist
	}
	var n cas.Name
	err := fs.ErrNotExist
	for _, key := range q.keys() {
		if n, err = p.Store.Name(key); err == nil {
			break
		}
	}
	if err != nil {
		return answer{}, err
	}
	if !slices.ContainsFunc(p.Upstreams(q.Origin), func(u gateway.Upstream) bool { return u.Endpoint == n.Note[spokenBy] }) {
		return answer{}, fmt.Errorf("%s may not speak any more", n.Note[spokenBy])
	}
	c, err := p.Store.Get(n.Digest)
	if err != nil {
		return answer{}, err
	}
	a := answer{File: c.File, size: c.Size, from: "store", proved: n.Note[originNote] == "true"}
	if q.moves {
		a.stale = n.At
	}
	return a, nil
}
