package npm

import (
	"context"
	"crypto/sha1"
	_ "crypto/sha256" // makes the algorithms available to go-digest
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// hashes are the algorithms of Subresource Integrity that npm takes, the
// strongest first.
var hashes = []struct {
	name string
	size int // bytes
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}, {"sha1", 20}}

// A sum is one hash of an archive.
type sum struct {
	name string
	hex  string
}

// String returns s as it stands in keys and messages.
func (s sum) String() string { return s.name + ":" + s.hex }

// strongest reads the strongest hash of an integrity field: "sha512-…",
// perhaps several with spaces between. It reports false where there is none.
func strongest(integrity string) (sum, bool) {
	if len(integrity) > 4<<10 {
		return sum{}, false
	}
	all := sums(integrity)
	for _, h := range hashes {
		if x, ok := all[h.name]; ok {
			return sum{h.name, x}, true
		}
	}
	return sum{}, false
}

// sums reads all hashes of an integrity field. Of two of one algorithm the
// first counts.
func sums(integrity string) map[string]string {
	all := make(map[string]string)
	for one := range strings.FieldsSeq(integrity) {
		one, _, _ = strings.Cut(one, "?") // options, which nobody has defined
		name, text, _ := strings.Cut(one, "-")
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		for _, h := range hashes {
			if h.name == name && h.size == len(raw) && all[name] == "" {
				all[name] = hex.EncodeToString(raw)
			}
		}
	}
	return all
}

// fromHex writes a shasum as an integrity field.
func fromHex(shasum string) string {
	raw, err := hex.DecodeString(shasum)
	if err != nil {
		return ""
	}
	return "sha1-" + base64.StdEncoding.EncodeToString(raw)
}

// agree reports whether two integrity fields can be of the same bytes: they have
// an algorithm in common, and say the same for each one that both have.
func agree(a, b string) bool {
	as, bs := sums(a), sums(b)
	common := false
	for name, x := range as {
		if y, ok := bs[name]; ok {
			if x != y {
				return false
			}
			common = true
		}
	}
	return common
}

// proved returns a as content that s proves.
func proved(a gateway.Asset, s sum) gateway.Asset {
	a.Key += "@" + s.String()
	if s.name != "sha1" {
		a.Digest = digest.NewDigestFromEncoded(digest.Algorithm(s.name), s.hex)
		return a
	}
	// Archives of the first years have no other hash.
	a.Prove = func(_ context.Context, body io.ReaderAt, size int64) (gateway.Proof, error) {
		h := sha1.New()
		if _, err := io.Copy(h, io.NewSectionReader(body, 0, size)); err != nil {
			return gateway.Proof{}, err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != s.hex {
			return gateway.Proof{}, fmt.Errorf("the bytes have the SHA-1 %s, want %s", got, s.hex)
		}
		return gateway.Proof{Mark: s.String(), Sure: true}, nil
	}
	return a
}

var errNoHash = errors.New("the registry names no hash for it")
