package gateway

import (
	"sync"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// originsWord is the name of what an origin itself said last of a.
func originsWord(a Asset) string { return a.Key + " by its origin" }

// isOrigin reports whether the origin of a is at endpoint.
func (m *Mirror) isOrigin(a Asset, endpoint string) bool {
	for _, u := range m.Upstreams(a.Origin) {
		if u.Endpoint == endpoint && u.Moving {
			return u.Origin
		}
	}
	return false
}

// succeeding returns check with more to it: who stands in for the origin may
// contradict neither its last word nor the last good answer.
func (m *Mirror) succeeding(a Asset, s Successor, check func(fetch.Answer) error) func(fetch.Answer) error {
	before := sync.OnceValue(func() [][]byte { return m.before(a) })
	return func(got fetch.Answer) error {
		if check != nil {
			if err := check(got); err != nil {
				return err
			}
		}
		if m.isOrigin(a, got.Endpoint) {
			return nil
		}
		for _, body := range before() {
			if err := s.Succeed(body, got.Body); err != nil {
				return &fault.Error{Op: "compare", Kind: fault.Corrupt, Err: err}
			}
		}
		return nil
	}
}

// before returns what was said of a earlier and still counts.
func (m *Mirror) before(a Asset) [][]byte {
	if m.Store == nil {
		return nil
	}
	var bodies [][]byte
	if last, err := m.last(a); err == nil {
		if got, err := m.recall(a, last); err == nil {
			bodies = append(bodies, got.body.data)
		}
	}
	if word, err := m.Store.Name(originsWord(a)); err == nil {
		if got, err := m.recall(a, word); err == nil {
			bodies = append(bodies, got.body.data)
		}
	}
	return bodies
}
