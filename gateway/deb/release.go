package deb

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// An entry is a file that a release or an index lists.
type entry struct {
	name   string // its path, below the folder of what lists it
	digest digest.Digest
	size   int64
}

// A release is what a suite consists of.
type release struct {
	date    time.Time
	byHash  bool // indexes are named by their digests, too
	entries map[string]entry
}

// The bounds of a release. Debian's has 150 kB and some 900 files in it.
const maxEntries = 100_000

func wrong(format string, args ...any) error {
	return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf(format, args...)}
}

// readRelease reads a Release or InRelease file. It does not check a signature.
func readRelease(body []byte) (*release, error) {
	r := &release{entries: make(map[string]entry)}
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 64<<10)
	section := ""
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, " ") {
			if section == "SHA256" {
				if err := r.add(strings.Fields(line)); err != nil {
					return nil, err
				}
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		section, value = name, strings.TrimSpace(value)
		switch name {
		case "Date":
			r.date = readDate(value)
		case "Acquire-By-Hash":
			r.byHash = value == "yes"
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, wrong("no release: %v", lines.Err())
	case len(r.entries) == 0:
		return nil, wrong("no release: it lists no file by its SHA256")
	}
	return r, nil
}

// readDate reads a date as releases have it, or returns the zero time: then
// nothing is known of what came before what.
func readDate(text string) time.Time {
	for _, form := range []string{"Mon, _2 Jan 2006 15:04:05 MST", time.RFC1123Z} {
		if t, err := time.Parse(form, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

// add takes a line: digest, size, name.
func (r *release) add(fields []string) error {
	if len(fields) != 3 || len(r.entries) >= maxEntries {
		return wrong("a release cannot have the line %.100q", fields)
	}
	size, err := strconv.ParseInt(fields[1], 10, 64)
	e := entry{fields[2], digest.Digest("sha256:" + fields[0]), size}
	if err != nil || size < 0 || e.digest.Validate() != nil || path.Clean("/"+e.name) != "/"+e.name {
		return wrong("a release cannot have the line %.100q", fields)
	}
	r.entries[e.name] = e
	return nil
}
