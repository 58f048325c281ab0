package npm

import "sync"

// maxKnown bounds how many versions are kept in mind: some 40 MB of them.
const maxKnown = 100_000

// known is what documents said of archives. The zero value knows nothing.
type known struct {
	mu    sync.Mutex
	all   map[string]map[string]release // by package and version
	count int
}

// add takes what d says. What was known of other versions stays.
func (k *known) add(d document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || k.count+len(d.releases) > maxKnown {
		k.all, k.count = make(map[string]map[string]release), 0
	}
	own := k.all[d.name]
	if own == nil {
		own = make(map[string]release, len(d.releases))
		k.all[d.name] = own
	}
	for _, r := range d.releases {
		if _, ok := own[r.version]; !ok {
			k.count++
		}
		own[r.version] = r
	}
}

// integrity returns the hash of an archive, where a document has said one.
func (k *known) integrity(name, version string) (string, bool) {
	r, ok := k.release(name, version)
	return r.integrity, ok && r.integrity != ""
}

func (k *known) release(name, version string) (release, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.all[name][version]
	return r, ok
}
