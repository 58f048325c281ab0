package buildcache

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
)

// uses says of layers when a result that needs them was last made, and how many
// layers they stand on.
type uses struct {
	made  map[digest.Digest]time.Time
	depth map[digest.Digest]int
}

// oldestFirst lists the layers of caches in the order in which they can go: the
// one whose step ran longest ago goes first, and what others stand on goes
// after those.
func (s *survey) oldestFirst(entries []entry) []digest.Digest {
	u := uses{make(map[digest.Digest]time.Time), make(map[digest.Digest]int)}
	for _, e := range entries {
		if !e.cache {
			continue
		}
		for _, l := range e.layers {
			if _, known := u.made[l.Digest]; !known {
				u.made[l.Digest] = time.Time{}
			}
		}
		var config cacheimport.CacheConfig
		if data, flaw := s.readDocument(e.config); flaw == nil && json.Unmarshal(data, &config) == nil {
			u.add(config)
		}
	}
	return slices.SortedFunc(maps.Keys(u.made), func(a, b digest.Digest) int {
		return cmp.Or(u.made[a].Compare(u.made[b]), cmp.Compare(u.depth[b], u.depth[a]),
			cmp.Compare(s.blobs[b].state.Size, s.blobs[a].state.Size), cmp.Compare(a, b))
	})
}

// add takes in the results of a cache.
func (u uses) add(config cacheimport.CacheConfig) {
	for _, r := range config.Records {
		for _, result := range r.Results {
			u.chain(config.Layers, result.LayerIndex, result.CreatedAt)
		}
		for _, result := range r.ChainedResults {
			for depth, i := range result.LayerIndexes {
				u.layer(config.Layers, i, result.CreatedAt, depth)
			}
		}
	}
}

// chain takes in a result that is the layer at i with all that it stands on,
// which so are never older than the layer itself. Damage may make a chain a
// ring.
func (u uses) chain(layers []cacheimport.CacheLayer, i int, at time.Time) {
	var chain []int
	for i >= 0 && i < len(layers) && len(chain) < len(layers) {
		chain = append(chain, i)
		i = layers[i].ParentIndex
	}
	for j, i := range chain {
		u.layer(layers, i, at, len(chain)-1-j)
	}
}

func (u uses) layer(layers []cacheimport.CacheLayer, i int, at time.Time, depth int) {
	if i < 0 || i >= len(layers) {
		return
	}
	d := layers[i].Blob
	if was, known := u.made[d]; known && at.After(was) {
		u.made[d] = at
	}
	u.depth[d] = max(u.depth[d], depth)
}
