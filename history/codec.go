package history

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"github.com/outlast-build/outlast/record"
)

// MaxRecord bounds one run, in bytes of JSON. What is longer loses its logs and
// steps; where that is not enough, it is not kept.
const MaxRecord = 1 << 20

// encode writes r as the file keeps it: JSON without white space, compressed.
func encode(r record.Run) ([]byte, error) {
	text, err := marshal(r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// writers are kept, as one that is new reads the dictionary first, which takes
// longer than a record does.
var writers = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.DefaultCompression, []byte(dictionary))
	if err != nil {
		panic(err) // the level is one that there is
	}
	return w
}}

// readers are kept likewise.
var readers = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// marshal writes r as JSON within MaxRecord: first whole, then without what
// takes most room and is told in a line besides.
func marshal(r record.Run) ([]byte, error) {
	for _, less := range []func(*record.Attempt){
		func(*record.Attempt) {},
		func(a *record.Attempt) { a.Log = nil },
		func(a *record.Attempt) { a.Ran = nil },
	} {
		r.Attempts = append([]record.Attempt(nil), r.Attempts...)
		for i := range r.Attempts {
			less(&r.Attempts[i])
		}
		text, err := json.Marshal(r)
		if err != nil || len(text) <= MaxRecord {
			return text, err
		}
	}
	return nil, fmt.Errorf("run %s is longer than %d bytes", r.ID, MaxRecord)
}

// decode reads what encode wrote. It never makes more of it than MaxRecord.
func decode(data []byte) (record.Run, error) {
	var r record.Run
	reader := readers.Get().(io.Reader)
	defer readers.Put(reader)
	if err := reader.(flate.Resetter).Reset(bytes.NewReader(data), []byte(dictionary)); err != nil {
		return r, err
	}
	text, err := io.ReadAll(io.LimitReader(reader, MaxRecord+1))
	if err == nil && len(text) > MaxRecord {
		err = errors.New("it is too long")
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return record.Run{}, fmt.Errorf("read record: %w", err)
	}
	return r, nil
}

// ids are what a run may be called: they are typed by people, and are parts of
// addresses.
var ids = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Valid returns an error where r is no run that can be kept.
func Valid(r record.Run) error {
	switch {
	case !ids.MatchString(r.ID):
		return fmt.Errorf("%.80q is no ID of a run", r.ID)
	case r.Started.Before(time.Unix(0, 0)) || r.Started.Year() > 9999:
		return fmt.Errorf("run %s began at no time that can be", r.ID)
	}
	return nil
}
