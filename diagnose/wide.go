package diagnose

import (
	"bufio"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// narrow returns r as UTF-8. PowerShell writes what it redirects as UTF-16,
// behind a mark that tells its order of bytes; anything else is left alone.
func narrow(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 64<<10)
	mark, _ := b.Peek(2)
	if len(mark) < 2 {
		return b
	}
	var order binary.ByteOrder
	switch {
	case mark[0] == 0xff && mark[1] == 0xfe:
		order = binary.LittleEndian
	case mark[0] == 0xfe && mark[1] == 0xff:
		order = binary.BigEndian
	default:
		return b
	}
	b.Discard(2)
	return &wide{r: b, order: order}
}

// wide reads UTF-16 as UTF-8.
type wide struct {
	r     *bufio.Reader
	order binary.ByteOrder
	rest  []byte // decoded, and not yet read
	high  rune   // the first half of a pair, 0 where there is none
}

// Read implements io.Reader. A half of a pair that stands alone, and a byte
// that is left over at the end, become U+FFFD.
func (w *wide) Read(p []byte) (int, error) {
	var unit [2]byte
	for len(w.rest) < len(p) && (len(w.rest) == 0 || w.r.Buffered() >= 2) {
		n, err := io.ReadFull(w.r, unit[:])
		if n == 1 {
			w.rest = utf8.AppendRune(w.rest, utf8.RuneError)
		}
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		if err != nil {
			if len(w.rest) > 0 {
				break
			}
			return 0, err
		}
		w.add(rune(w.order.Uint16(unit[:])))
	}
	n := copy(p, w.rest)
	w.rest = w.rest[:copy(w.rest, w.rest[n:])]
	return n, nil
}

func (w *wide) add(u rune) {
	if w.high != 0 {
		pair := utf16.DecodeRune(w.high, u)
		w.high = 0
		if pair != utf8.RuneError {
			w.rest = utf8.AppendRune(w.rest, pair)
			return
		}
		w.rest = utf8.AppendRune(w.rest, utf8.RuneError)
	}
	if u >= 0xd800 && u < 0xdc00 {
		w.high = u
		return
	}
	w.rest = utf8.AppendRune(w.rest, u)
}
