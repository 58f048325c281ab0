package diagnose

import (
	"bytes"
	"io"
)

// What is kept of a log. The end of a log has the failure; what came earlier
// matters only where it looks like an error, and of that the latest counts,
// but the first too, since the rest may be its consequences.
const (
	maxLine   = 16 << 10
	tailBytes = 512 << 10
	maxTail   = 6000 // lines kept whole from the end
	maxFirst  = 200  // suspicious lines kept from before the tail: the first …
	maxLatest = 1500 // … and the latest
)

// line is a line of the input with its number.
type line struct {
	number int
	text   string
}

// keeper keeps a bounded part of a log.
type keeper struct {
	number int
	tail   ring
	first  []line
	latest ring
}

func newKeeper() *keeper {
	return &keeper{tail: ring{max: maxTail}, latest: ring{max: maxLatest}}
}

// add takes the next line. A carriage return within it begins a new one in the
// same place, as on a terminal.
func (k *keeper) add(text []byte) {
	k.number++
	if len(text) > maxLine {
		text = clip(text)
	}
	for old := range k.tail.push(line{k.number, string(text)}, tailBytes) {
		if !suspicious(old.text) {
			continue
		}
		if len(k.first) < maxFirst {
			k.first = append(k.first, old)
			continue
		}
		for range k.latest.push(old, tailBytes) {
		}
	}
}

// clip keeps the two ends of a long line: compilers put the place in front,
// wrapped errors their cause at the end.
func clip(text []byte) []byte {
	const half = maxLine/2 - 8
	out := make([]byte, 0, maxLine)
	out = append(out, text[:half]...)
	out = append(out, " … "...)
	return append(out, text[len(text)-half:]...)
}

// lines returns what was kept, in order.
func (k *keeper) lines() []line {
	all := append([]line(nil), k.first...)
	all = append(all, k.latest.items()...)
	return append(all, k.tail.items()...)
}

// read adds the lines of r. A line longer than the buffer is cut to its two
// ends.
func (k *keeper) read(r io.Reader) error {
	buf := make([]byte, 256<<10)
	var long []byte // the head and the latest part of a line longer than buf
	n := 0
	for {
		m, err := r.Read(buf[n:])
		n += m
		start := 0
		for {
			end := bytes.IndexByte(buf[start:n], '\n')
			if end < 0 {
				break
			}
			text := buf[start : start+end]
			if long != nil {
				text, long = append(long, text...), nil
			}
			k.add(text)
			start += end + 1
		}
		n = copy(buf, buf[start:n])
		if n == len(buf) {
			long = append(long, buf...)
			if len(long) > 4*maxLine {
				long = clip(long)
			}
			n = 0
		}
		if err != nil {
			if rest := append(long, buf[:n]...); len(rest) > 0 {
				k.add(rest)
			}
			if err == io.EOF {
				err = nil
			}
			return err
		}
	}
}

// suspicious reports whether a line may tell of a failure. It is asked of
// every line of a long log and must be cheap: no case folding, no expressions.
func suspicious(s string) bool {
	for _, word := range suspects {
		if containsString(s, word) {
			return true
		}
	}
	return false
}

var suspects = []string{"rror", "RROR", "ERR", "ail", "FAIL", "atal", "FATAL", "E: ", "W: ", "denied", "imeout", "timed out", "refused",
	"reset", "EOF", "not found", "o such", "esolv", "anic", "Unable", "unable", "annot", "Retry", "retry", "exception", "Exception",
	"nvalid", "HTTP ", "EAI_", "ETIMEDOUT", "exit code", "WARN", "x509", "SIG", "illed", "o space"}

// ring keeps the latest lines, bounded in number and bytes.
type ring struct {
	max   int
	buf   []line
	start int
	count int
	bytes int
}

// push adds l and yields what must go for it.
func (r *ring) push(l line, limit int) func(func(line) bool) {
	if r.buf == nil {
		r.buf = make([]line, r.max)
	}
	return func(yield func(line) bool) {
		for r.count > 0 && (r.count == r.max || r.bytes+len(l.text) > limit) {
			old := r.buf[r.start]
			r.buf[r.start] = line{}
			r.start = (r.start + 1) % r.max
			r.count--
			r.bytes -= len(old.text)
			if !yield(old) {
				break
			}
		}
		r.buf[(r.start+r.count)%r.max] = l
		r.count++
		r.bytes += len(l.text)
	}
}

func (r *ring) items() []line {
	all := make([]line, 0, r.count)
	for i := range r.count {
		all = append(all, r.buf[(r.start+i)%r.max])
	}
	return all
}
