package deb

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/therootcompany/xz"

	"github.com/outlast-build/outlast/gateway"
)

// The bounds of an index. Debian's largest unpacks to 50 MB and lists 64,000
// packages.
const (
	maxUnpacked = 1 << 30
	maxLine     = 1 << 20
	maxNames    = 128 << 20 // bytes of all names that an index lists
	maxName     = 1 << 10
	maxTables   = 16
)

// tables are the indexes that were read, by digest.
type tables struct {
	mu  sync.Mutex
	all map[digest.Digest]*table
}

// A table is what one index of packages lists.
type table struct {
	once  sync.Once
	files map[string]entry // by name; empty where it could not be read
}

func (ts *tables) of(d digest.Digest) *table {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.all[d]
	if t == nil {
		if ts.all == nil || len(ts.all) >= maxTables {
			ts.all = make(map[digest.Digest]*table)
		}
		t = new(table)
		ts.all[d] = t
	}
	return t
}

func (ts *tables) forget(d digest.Digest) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.all, d)
}

// lookUp finds f in the indexes of its archive that clients have had.
func (p *Protocol) lookUp(ctx context.Context, f gateway.File) (entry, bool) {
	for _, s := range p.suites.beside(f) {
		name := strings.TrimPrefix(f.Path, s.root())
		for _, e := range s.usedOf(s.release()) {
			if base := path.Base(e.name); !strings.HasPrefix(base, "Packages") && !strings.HasPrefix(base, "Sources") {
				continue
			}
			if found, ok := p.table(ctx, s.asset(e), e)[name]; ok {
				return found, true
			}
		}
	}
	return entry{}, false
}

// table returns what the index e lists, read once.
func (p *Protocol) table(ctx context.Context, a gateway.Asset, e entry) map[string]entry {
	t := p.tables.of(e.digest)
	t.once.Do(func() {
		// Others wait for it, too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		b, err := p.find(ctx, a)
		if err == nil {
			defer b.Close()
			t.files, err = readIndex(e.name, b.Open())
		}
		if err != nil {
			p.tables.forget(e.digest) // the next one tries again
		}
	})
	return t.files
}

// unpack returns the content of a file by its name's ending.
func unpack(name string, r io.Reader) (io.Reader, error) {
	switch path.Ext(name) {
	case ".xz":
		return xz.NewReader(r, xz.DefaultDictMax)
	case ".gz":
		return gzip.NewReader(r)
	case ".bz2":
		return bzip2.NewReader(r), nil
	case ".zst":
		return zstd.NewReader(r, zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
	case ".lzma":
		return nil, errors.New("lzma is not read")
	}
	return r, nil
}

// readIndex reads an index of packages or of sources as a stream.
func readIndex(name string, r io.Reader) (map[string]entry, error) {
	r, err := unpack(name, bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: r, N: maxUnpacked}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	files := make(map[string]entry)
	var p paragraph
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			p.end(files)
			p = paragraph{names: p.names}
		} else {
			p.line(line)
		}
		if p.names > maxNames {
			return nil, errors.New("the index lists more than an archive may have")
		}
	}
	p.end(files)
	if lines.Err() == nil && limited.N <= 0 {
		return nil, errors.New("the index unpacks to more than it may")
	}
	return files, lines.Err()
}

// A paragraph tells of a package, or of a source of several files.
type paragraph struct {
	filename, directory string
	size                int64
	sum                 string
	sums                bool // the lines are files of a source
	files               []entry
	names               int // bytes, of this paragraph and all before
}

// entryRoom is what an entry takes beside its name.
const entryRoom = 128

func (p *paragraph) line(line []byte) {
	if line[0] == ' ' {
		fields := strings.Fields(string(line))
		if p.sums && len(fields) == 3 && len(fields[2]) <= maxName {
			p.names += len(p.directory) + len(fields[2]) + entryRoom
			size, _ := strconv.ParseInt(fields[1], 10, 64)
			p.files = append(p.files, entry{fields[2], digest.Digest("sha256:" + fields[0]), size})
		}
		return
	}
	p.sums = false
	name, value, _ := bytes.Cut(line, []byte(":"))
	if value = bytes.TrimSpace(value); len(value) > maxName {
		return
	}
	switch string(name) {
	case "Filename":
		p.filename = string(value)
		p.names += len(value) + entryRoom
	case "Directory":
		p.directory = string(value)
	case "Size":
		p.size, _ = strconv.ParseInt(string(value), 10, 64)
	case "SHA256":
		p.sum = string(value)
	case "Checksums-Sha256":
		p.sums = true
	}
}

// end adds what the paragraph told of.
func (p *paragraph) end(files map[string]entry) {
	if p.filename != "" {
		put(files, entry{p.filename, digest.Digest("sha256:" + p.sum), p.size})
	}
	for _, f := range p.files {
		f.name = p.directory + "/" + f.name
		put(files, f)
	}
}

func put(files map[string]entry, e entry) {
	e.name = strings.TrimPrefix(path.Clean("/"+e.name), "/")
	if e.digest.Validate() == nil && e.size > 0 {
		files[e.name] = e
	}
}
