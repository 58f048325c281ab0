package testenv

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// OldContent puts size bytes into the store in dir as if they were used an hour
// ago, and returns where they stand.
func OldContent(t testing.TB, dir string, size int) string {
	t.Helper()
	s, err := cas.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, size)
	rand.Read(data)
	d := digest.FromBytes(data)
	if err := s.Put(d, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-time.Hour)
	for _, path := range []string{s.Path(d), filepath.Join(dir, "used", "sha256", d.Encoded())} {
		if err := os.Chtimes(path, then, then); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return s.Path(d)
}
