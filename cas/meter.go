package cas

import "sync"

// A meter tells when it is time to look at the disk: it counts what this
// process has added to what it saw last. Several processes that each look after
// a twentieth of the limit keep it together, nearly.
type meter struct {
	limit int64 // bytes; 0 for none

	mu    sync.Mutex
	seen  bool  // the disk was looked at
	total int64 // bytes, as far as this process knows
	grown int64 // of which added since it looked
}

// add counts n bytes more, and reports whether it is time.
func (m *meter) add(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
	m.grown += n
	return m.limit > 0 && (!m.seen || m.total > m.limit || m.grown > m.limit/20)
}

// saw sets what was found on the disk.
func (m *meter) saw(total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen, m.total, m.grown = true, total, 0
}

// blocks is what size bytes take on a disk. An empty file takes something too:
// a limit in bytes is to bound the number of files as well.
func blocks(size int64) int64 {
	const block = 4 << 10
	return max(block, (size+block-1)/block*block)
}
