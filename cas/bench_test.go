package cas_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir(), 0)
	d := put(b, s, noise(1, 1<<20))
	get := func() {
		c, err := s.Get(d)
		if err != nil {
			b.Error(err)
			return
		}
		c.Close()
	}
	b.Run("one client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get()
		}
	})
	b.Run("many clients", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get()
			}
		})
	})
}

// The first Get of each entry in a process.
func BenchmarkFirstGet(b *testing.B) {
	dir := b.TempDir()
	const size = 64 << 20
	d := put(b, open(b, dir, 0), noise(1, size))
	b.SetBytes(size)
	for b.Loop() {
		s, err := cas.Open(dir, 0)
		must(b, err)
		c, err := s.Get(d)
		must(b, err)
		c.Close()
		s.Close()
	}
}

func BenchmarkName(b *testing.B) {
	s := open(b, b.TempDir(), 0)
	must(b, s.SetName("name", aName))
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Name("name"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("set", func(b *testing.B) {
		for b.Loop() {
			must(b, s.SetName("name", aName))
		}
	})
}

// What it takes from an empty spool to stored content, and without the disk.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 64 << 20} {
		data := noise(1, size)
		for _, ranges := range []int{1, 4} {
			name := fmt.Sprintf("%d KiB in %d ranges", size>>10, ranges)
			fill := func(b *testing.B, s *cas.Store) (*cas.Writer, digest.Digest) {
				copy(data, fmt.Sprint(b.N, b.Elapsed())) // new content each time
				w, err := s.Create()
				must(b, err)
				parallel(b, w, data, ranges, 64<<10)
				b.StopTimer()
				d := digest.FromBytes(data)
				b.StartTimer()
				return w, d
			}
			b.Run(name+" to Verify", func(b *testing.B) {
				s := open(b, b.TempDir(), 0)
				b.SetBytes(int64(size))
				for b.Loop() {
					w, d := fill(b, s)
					must(b, w.Verify(d), w.Close())
				}
			})
			b.Run(name+" to Commit", func(b *testing.B) {
				s := open(b, b.TempDir(), 1<<30)
				b.SetBytes(int64(size))
				for b.Loop() {
					w, d := fill(b, s)
					must(b, w.Commit(d), w.Close())
				}
			})
		}
	}
}

// A store of many entries, at its limit: the cost of room is spread over the
// commits that need it.
func BenchmarkCommitInAFullStore(b *testing.B) {
	const entries = 2000
	dir := b.TempDir()
	s := open(b, dir, entries*block)
	for i := range entries {
		data := fmt.Append(nil, i)
		put(b, s, data)
	}
	s = open(b, dir, entries*block)
	i := entries
	for b.Loop() {
		data := fmt.Append(nil, i)
		must(b, s.Put(digest.FromBytes(data), bytes.NewReader(data)))
		i++
	}
}

func BenchmarkTrim(b *testing.B) {
	s := open(b, b.TempDir(), 1<<30)
	for i := range 1000 {
		put(b, s, fmt.Append(nil, i))
	}
	for b.Loop() {
		must(b, s.Trim())
	}
}
