package actcache

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/outlast-build/outlast/cas"
)

// uploads are those of a service that are open.
type uploads struct {
	mu  sync.Mutex
	all map[string]*upload // by id
}

var (
	errExists  = errors.New("cache entry already exists")
	errTooMany = errors.New("too many uploads are open")
)

// reserve opens an upload, unless the key has one, or there are too many.
func (us *uploads) reserve(s *cas.Store, e entry, most int64) (*upload, error) {
	us.sweep(time.Now())
	us.mu.Lock()
	defer us.mu.Unlock()
	for _, u := range us.all {
		if u.shelf == e.shelf && u.key == e.key {
			return nil, errExists
		}
	}
	if len(us.all) >= maxUploads {
		return nil, errTooMany
	}
	u := &upload{entry: e, id: rand.Text(), most: most, used: time.Now()}
	var err error
	if u.w, err = s.Create(); err != nil {
		return nil, err
	}
	if us.all == nil {
		us.all = make(map[string]*upload)
	}
	us.all[u.id] = u
	return u, nil
}

// sweep forgets the uploads that were left open.
func (us *uploads) sweep(now time.Time) {
	us.mu.Lock()
	var old []*upload
	for id, u := range us.all {
		if u.idle(now) {
			old = append(old, u)
			delete(us.all, id)
		}
	}
	us.mu.Unlock()
	for _, u := range old {
		u.end()
	}
}

// byID returns the upload that an address opens, or nil.
func (us *uploads) byID(id string) *upload {
	us.mu.Lock()
	defer us.mu.Unlock()
	return us.all[id]
}

// find returns the first upload that is as ok says, or nil.
func (us *uploads) find(ok func(*upload) bool) *upload {
	us.mu.Lock()
	defer us.mu.Unlock()
	for _, u := range us.all {
		if ok(u) {
			return u
		}
	}
	return nil
}

// drop forgets an upload.
func (us *uploads) drop(u *upload) {
	us.mu.Lock()
	delete(us.all, u.id)
	us.mu.Unlock()
	u.end()
}
