package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

// The bounds of an index. Alpine's largest unpacks to 8 MB and lists 25,000
// packages.
const (
	maxUnpacked = 256 << 20
	maxListed   = 500_000
	maxName     = 512
	maxIndexes  = 64
)

func wrong(format string, args ...any) error {
	return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf(format, args...)}
}

// An entry is what an index says of a package.
type entry struct {
	checksum string // as the index has it: Q1 and a SHA-1, or Q2 and a SHA-256; empty where nothing is known
	size     int64
}

// An index lists packages by the names of their files.
type index map[string]entry

// indexes are those that were served, by where they are.
type indexes struct {
	mu  sync.Mutex
	all map[gateway.File]known
}

type known struct {
	digest digest.Digest
	index  index
}

func (is *indexes) entry(f gateway.File, name string) (entry, bool) {
	is.mu.Lock()
	defer is.mu.Unlock()
	e, ok := is.all[f].index[name]
	return e, ok
}

func (is *indexes) learn(f gateway.File, body []byte) {
	d := digest.FromBytes(body)
	is.mu.Lock()
	same := is.all[f].digest == d
	is.mu.Unlock()
	if same {
		return
	}
	read, err := readIndex(body)
	if err != nil {
		return
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.all == nil || len(is.all) >= maxIndexes {
		is.all = make(map[gateway.File]known)
	}
	is.all[f] = known{d, read}
}

// readIndex reads an index: archives one after the other, the signature's and
// that with the list. It does not check the signature.
func readIndex(body []byte) (index, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, wrong("no index: %v", err)
	}
	unpacked := &io.LimitedReader{R: z, N: maxUnpacked}
	files := tar.NewReader(unpacked)
	for {
		h, err := files.Next()
		if err != nil {
			return nil, wrong("no index: the archive has no APKINDEX")
		}
		if h.Name != "APKINDEX" {
			continue
		}
		list, err := readList(files)
		if err == nil {
			_, err = io.Copy(io.Discard, unpacked) // and its checksum
		}
		if err == nil && unpacked.N <= 0 {
			err = errors.New("it unpacks to more than it may")
		}
		if err != nil {
			return nil, wrong("no index: %v", err)
		}
		return list, nil
	}
}

func readList(r io.Reader) (index, error) {
	list := make(index)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var name, version string
	var e entry
	end := func() {
		if name != "" && version != "" && len(name)+len(version) < maxName && e.valid() {
			list[name+"-"+version+".apk"] = e
		}
		name, version, e = "", "", entry{}
	}
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch field {
		case "":
			end()
		case "C":
			e.checksum = value
		case "P":
			name = value
		case "V":
			version = value
		case "S":
			e.size, _ = strconv.ParseInt(value, 10, 64)
		}
		if len(list) > maxListed {
			return nil, errors.New("it lists more than a repository may have")
		}
	}
	end()
	return list, lines.Err()
}
