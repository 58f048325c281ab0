package diagnose

import (
	"bytes"
	"io"
)

// What is kept of a log. The end of a log has the failure; what came earlier
// matters only where it looks like an error, and of that the latest counts,
// but the first too, since the rest may be its consequences.
const (
	maxLine   = 4 << 10   // bytes; of a line from before the end a quarter
	blockSize = 512 << 10 // the last one to two blocks are kept whole
	maxTail   = 6000      // lines from the end that are read, blank ones left out
	maxFirst  = 200       // suspicious lines from before those: the first …
	maxLatest = 500       // … and the latest
)

// line is a line of the input with its number.
type line struct {
	number int
	text   string
}

// keeper is a writer that keeps a bounded part of a log. It works on blocks of
// half a megabyte that end with a line: a block that has no word of suspicion
// in it costs no more than the search for a few words.
type keeper struct {
	cur, prev         []byte
	curLine, prevLine int // number of the first line of each
	first, latest     []line
	spans             []span // of suspicious lines, reused from block to block
}

type span struct{ start, end, number int }

func newKeeper() *keeper {
	return &keeper{cur: make([]byte, 0, blockSize), prev: make([]byte, 0, blockSize), curLine: 1, prevLine: 1}
}

// Write implements io.Writer; it never fails.
func (k *keeper) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		m := copy(k.cur[len(k.cur):cap(k.cur)], p)
		k.cur = k.cur[:len(k.cur)+m]
		p = p[m:]
		if len(k.cur) == cap(k.cur) {
			k.turn()
		}
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom. It reads r to its end.
func (k *keeper) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for empty := 0; ; {
		n, err := r.Read(k.cur[len(k.cur):cap(k.cur)])
		total += int64(n)
		k.cur = k.cur[:len(k.cur)+n]
		if len(k.cur) == cap(k.cur) {
			k.turn()
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if empty++; n > 0 {
			empty = 0
		}
		if empty > 100 {
			return total, io.ErrNoProgress
		}
	}
}

// turn makes room: the block before the current one goes. A line that fills
// the current block alone is cut to its two ends.
func (k *keeper) turn() {
	end := bytes.LastIndexByte(k.cur, '\n') + 1
	if end == 0 {
		copy(k.cur[maxLine/2:], k.cur[len(k.cur)-maxLine/2:])
		k.cur = k.cur[:maxLine]
		return
	}
	k.suspects(k.prev, k.prevLine)
	next := append(k.prev[:0], k.cur[end:]...)
	k.prev, k.prevLine = k.cur[:end], k.curLine
	k.cur, k.curLine = next, k.curLine+bytes.Count(k.prev, []byte{'\n'})
}

// suspicion are words that lines of errors have, whatever the tool.
var suspicion = [][]byte{[]byte("rror"), []byte("ERR"), []byte("FAIL"), []byte("atal"), []byte("refused"), []byte("timed out"), []byte("not found")}

// suspects keeps the lines of a block that look like errors.
func (k *keeper) suspects(block []byte, number int) {
	var words [][]byte
	for _, w := range suspicion {
		if bytes.Contains(block, w) {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return
	}
	k.spans = k.spans[:0]
	for start := 0; start < len(block); number++ {
		end := bytes.IndexByte(block[start:], '\n')
		if end < 0 {
			end = len(block) - start
		}
		for _, w := range words {
			if bytes.Contains(block[start:start+end], w) {
				k.spans = append(k.spans, span{start, start + end, number})
				break
			}
		}
		start += end + 1
	}
	for i, s := range k.spans {
		switch {
		case len(k.first) < maxFirst:
			k.first = append(k.first, s.line(block, maxLine/4))
		case i >= len(k.spans)-maxLatest:
			k.latest = append(k.latest, s.line(block, maxLine/4))
		}
	}
	if over := len(k.latest) - maxLatest; over > 0 {
		k.latest = append(k.latest[:0], k.latest[over:]...)
	}
}

// line copies a line out of its block. Of a long one the two ends are kept:
// compilers put the place in front, wrapped errors their cause at the end.
func (s span) line(block []byte, limit int) line {
	text := block[s.start:s.end]
	if len(text) <= limit {
		return line{s.number, string(text)}
	}
	half := limit / 2
	return line{s.number, string(text[:half]) + string(text[len(text)-half:])}
}

// lines returns what was kept, in order.
func (k *keeper) lines() []line {
	rest := append(append(make([]byte, 0, len(k.prev)+len(k.cur)), k.prev...), k.cur...)
	number := k.prevLine
	if len(k.prev) == 0 {
		number = k.curLine
	}
	// Go back over at most maxTail lines; what is before them is searched like
	// the blocks that went before.
	start, count := len(rest), 0
	for start > 0 && count < maxTail {
		end := start
		if rest[end-1] == '\n' {
			end--
		}
		start = bytes.LastIndexByte(rest[:end], '\n') + 1
		if len(bytes.TrimSpace(rest[start:min(end, start+maxLine)])) > 0 {
			count++
		}
	}
	k.suspects(rest[:start], number)
	number += bytes.Count(rest[:start], []byte{'\n'})

	all := append(append([]line(nil), k.first...), k.latest...)
	for start < len(rest) {
		end := bytes.IndexByte(rest[start:], '\n')
		if end < 0 {
			end = len(rest) - start
		}
		if text := rest[start : start+end]; len(bytes.TrimSpace(text[:min(len(text), maxLine)])) > 0 {
			all = append(all, span{start, start + end, number}.line(rest, maxLine))
		}
		start += end + 1
		number++
	}
	return all
}
