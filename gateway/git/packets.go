package git

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/outlast-build/outlast/fault"
)

// whole decides on an answer that is there: it is made of packets up to its end,
// is no error, and a pack in it has the sum at its end that is that of its bytes
// (gitprotocol-common, gitformat-pack). Which objects it should have is for git
// to say. Version 1 and older end in other ways, and are only looked at.
func whole(q question, r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(512)
	if fault.IsHTML("", head) {
		return &fault.Error{Kind: fault.HTML, Err: errors.New("a web page with status 200")}
	}
	if q.header.Get("Git-Protocol") != "version=2" {
		if len(head) > 8 && bytes.HasPrefix(head[4:], []byte("ERR ")) {
			return says(head[8:])
		}
		return nil
	}
	p := packets{sum: sha1.New()}
	if bytes.Contains(q.body, []byte("object-format=sha256")) {
		p.sum = sha256.New()
	}
	for {
		end, err := p.next(in)
		if err != nil || end {
			return err
		}
	}
}

func says(text []byte) error {
	return &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("it says: %.200q", text)}
}

// packets are read one after the other.
type packets struct {
	length [4]byte
	buf    [65516]byte // the longest there is
	pack   bool        // what follows is a pack, in bands
	sum    hash.Hash   // of the pack but for what is held
	held   []byte      // the last bytes of the pack, which may be its sum
	packed int64
	closed bool // by a flush
}

// next reads a packet, and reports whether there was none left.
func (p *packets) next(in *bufio.Reader) (end bool, err error) {
	if _, err := io.ReadFull(in, p.length[:]); err == io.EOF {
		return true, p.finish()
	} else if err != nil {
		return false, cut()
	}
	n, err := strconv.ParseUint(string(p.length[:]), 16, 16)
	if err != nil || n == 3 || int(n) > len(p.buf)+4 {
		return false, &fault.Error{Kind: fault.Corrupt, Err: errors.New("no packet begins where one should")}
	}
	if p.closed = n == 0 || n == 2; n < 4 {
		return false, nil
	}
	line := p.buf[:n-4]
	if _, err := io.ReadFull(in, line); err != nil {
		return false, cut()
	}
	switch {
	case bytes.HasPrefix(line, []byte("ERR ")):
		return false, says(line[4:])
	case !p.pack:
		p.pack = bytes.Equal(line, []byte("packfile\n"))
	case len(line) > 0 && line[0] == 3:
		return false, says(line[1:])
	case len(line) > 0 && line[0] == 1:
		p.add(line[1:])
	}
	return false, nil
}

// add hashes all of a pack but its last bytes.
func (p *packets) add(data []byte) {
	p.packed += int64(len(data))
	p.held = append(p.held, data...)
	if n := len(p.held) - p.sum.Size(); n > 0 {
		p.sum.Write(p.held[:n])
		p.held = append(p.held[:0], p.held[n:]...)
	}
}

func (p *packets) finish() error {
	switch {
	case !p.closed:
		return cut()
	case p.packed > 0 && !bytes.Equal(p.sum.Sum(nil), p.held):
		return &fault.Error{Kind: fault.Corrupt, Err: errors.New("the pack's sum is another")}
	}
	return nil
}

func cut() error {
	return &fault.Error{Kind: fault.Truncated, Err: errors.New("it ends in the middle")}
}
