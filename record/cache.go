package record

import (
	"cmp"
	"slices"
	"time"
)

// A CacheUse is what one external cache was worth to a run.
type CacheUse struct {
	Tier  string `json:"tier"`  // registry, local, or as --cache-from names it
	Where string `json:"where"` // a reference or a folder

	Asked int `json:"asked,omitempty"` // attempts that could read it
	Hit   int `json:"hit,omitempty"`   // of these, those that found a cache there
	// Layers and Read are what the builder took of it. Of a folder that does
	// not show: there they are what it held.
	Layers int   `json:"layers,omitempty"`
	Read   int64 `json:"read_bytes,omitempty"`

	Written int           `json:"written,omitempty"`    // exports that were put in their place
	Sent    int64         `json:"sent_bytes,omitempty"` // what that took: bytes that were not there before
	Took    time.Duration `json:"took,omitempty"`       // of the run's time: to prove it, and to send it
	Failed  int           `json:"failed,omitempty"`     // times that it did not do what it should
	Last    string        `json:"last,omitempty"`       // the last failure in a line
}

// Add puts what another use of the same cache came to on top.
func (c *CacheUse) Add(other CacheUse) {
	c.Asked += other.Asked
	c.Hit += other.Hit
	c.Layers += other.Layers
	c.Read += other.Read
	c.Written += other.Written
	c.Sent += other.Sent
	c.Took += other.Took
	c.Failed += other.Failed
	c.Last = cmp.Or(other.Last, c.Last)
}

// Use adds to what a run says of a cache.
func (r *Run) Use(u CacheUse) {
	i := slices.IndexFunc(r.Caches, func(c CacheUse) bool { return c.Tier == u.Tier && c.Where == u.Where })
	if i < 0 {
		r.Caches = append(r.Caches, u)
		return
	}
	r.Caches[i].Add(u)
}

// SumCaches adds up what runs say of each cache, in the order in which they
// first name it.
func SumCaches(runs []Run) []CacheUse {
	var all Run
	for _, r := range runs {
		for _, u := range r.Caches {
			all.Use(u)
		}
	}
	return all.Caches
}
