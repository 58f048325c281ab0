package buildx

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/outlast-build/outlast/engine"

	"github.com/moby/buildkit/client"
)

// lineLimit bounds one line of the child's standard error. BuildKit cuts the
// output of a step at 2 MiB, and sends it in pieces far smaller.
const lineLimit = 16 << 20

// decode reads what buildx writes with --progress=rawjson and calls emit for
// each status and each line that is none, until r ends. It never stops before,
// for a child whose output nobody reads hangs. A line that is too long is left
// out with a note in its place.
func decode(r io.Reader, limit int, emit func(engine.Event)) error {
	br := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	dropped := 0
	for {
		part, err := br.ReadSlice('\n')
		switch {
		case dropped > 0 || len(line)+len(part) > limit:
			dropped += len(line) + len(part)
			line = line[:0]
		default:
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if dropped > 0 {
			emit(engine.Event{Line: fmt.Sprintf("outlast: left out a line of %d bytes", dropped)})
		} else if err == nil || len(line) > 0 {
			emit(event(line))
		}
		line, dropped = line[:0], 0
		if cap(line) > 1<<20 {
			line = nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// event makes one line into an event. Only an object with at least one of a
// status's lists, and nothing else in it, is a status: a step can print any
// JSON, but through a log entry, so what else looks like it is plain text.
func event(line []byte) engine.Event {
	line = bytes.TrimRight(line, "\r\n")
	if bytes.HasPrefix(line, []byte("{")) {
		var s client.SolveStatus
		d := json.NewDecoder(bytes.NewReader(line))
		if err := d.Decode(&s); err == nil && clean(&s) && !d.More() {
			return engine.Event{Status: &s}
		}
	}
	return engine.Event{Line: strings.ToValidUTF8(string(line), string(utf8.RuneError))}
}

// clean takes the nulls out of the lists and reports whether anything is left,
// so that nobody downstream has to look for a nil.
func clean(s *client.SolveStatus) bool {
	s.Vertexes = present(s.Vertexes)
	s.Statuses = present(s.Statuses)
	s.Logs = present(s.Logs)
	s.Warnings = present(s.Warnings)
	return len(s.Vertexes)+len(s.Statuses)+len(s.Logs)+len(s.Warnings) > 0
}

func present[T any](list []*T) []*T {
	kept := list[:0]
	for _, p := range list {
		if p != nil {
			kept = append(kept, p)
		}
	}
	return kept
}
