package pypi

import (
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	_ "crypto/sha256" // makes the algorithms available to go-digest
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// algorithms are the hashes of an index, the strongest first. Those with a
// function of their own are no digests for the store.
var algorithms = []struct {
	name string
	size int // bytes
	own  func() hash.Hash
}{
	{"sha512", 64, nil},
	{"sha384", 48, nil},
	{"sha256", 32, nil},
	{"sha1", 20, sha1.New},
	{"md5", 16, md5.New},
}

// A sum is a hash of a file.
type sum struct {
	name, hex string
	own       func() hash.Hash
}

// strongest returns the strongest of the hashes that are known here.
func strongest(hashes map[string]string) (sum, bool) {
	for _, a := range algorithms {
		text := strings.ToLower(hashes[a.name])
		if raw, err := hex.DecodeString(text); err == nil && len(raw) == a.size {
			return sum{a.name, text, a.own}, true
		}
	}
	return sum{}, false
}

// proved returns a as content that its hashes prove; without any, as content
// that stays as it was seen first, and is an archive that is whole.
func proved(a gateway.Asset, file string, hashes map[string]string) gateway.Asset {
	s, ok := strongest(hashes)
	if !ok {
		a.Prove = func(_ context.Context, body io.ReaderAt, size int64) (gateway.Proof, error) {
			return gateway.Proof{}, whole(file, io.NewSectionReader(body, 0, size))
		}
		return a
	}
	a.Key += "@" + s.name + ":" + s.hex
	if s.own == nil {
		a.Digest = digest.NewDigestFromEncoded(digest.Algorithm(s.name), s.hex)
		return a
	}
	a.Prove = func(_ context.Context, body io.ReaderAt, size int64) (gateway.Proof, error) {
		h := s.own()
		if _, err := io.Copy(h, io.NewSectionReader(body, 0, size)); err != nil {
			return gateway.Proof{}, err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != s.hex {
			return gateway.Proof{}, fmt.Errorf("the bytes have the %s %s, want %s", s.name, got, s.hex)
		}
		return gateway.Proof{Mark: s.name + ":" + s.hex, Sure: true}, nil
	}
	return a
}

// maxUnpacked bounds what is unpacked to see whether an archive is whole.
const maxUnpacked = 4 << 30

// whole reads an archive to its end: zip, gzip and bzip2 have check sums of
// their own.
func whole(name string, content *io.SectionReader) error {
	left := int64(maxUnpacked)
	drain := func(r io.Reader) error {
		n, err := io.Copy(io.Discard, io.LimitReader(r, left+1))
		if left -= n; err == nil && left < 0 {
			err = fmt.Errorf("more than %d bytes when it is unpacked", int64(maxUnpacked))
		}
		return err
	}
	switch {
	case strings.HasSuffix(name, ".whl"), strings.HasSuffix(name, ".zip"), strings.HasSuffix(name, ".egg"):
		z, err := zip.NewReader(content, content.Size())
		if err != nil {
			return err
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				return err
			}
			if err := drain(r); err != nil {
				return err
			}
		}
		return nil
	case strings.HasSuffix(name, ".gz"), strings.HasSuffix(name, ".tgz"):
		z, err := gzip.NewReader(bufio.NewReader(content))
		if err != nil {
			return err
		}
		return drain(z)
	case strings.HasSuffix(name, ".bz2"):
		return drain(bzip2.NewReader(bufio.NewReader(content)))
	}
	return errors.New("the index names no hash for it, and its kind of file has no check sum of its own")
}
