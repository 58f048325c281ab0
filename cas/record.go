package cas

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// A record is three lines: a head with the SHA-256 of the rest, the name in
// quotes (which any bytes survive), and the rest of it in JSON. There is one way
// to write a record, and what was written in another is none.
const recordHead = "outlast name 1 "

type recordBody struct {
	Digest    digest.Digest     `json:"digest"`
	MediaType string            `json:"mediaType,omitempty"`
	Size      int64             `json:"size"`
	At        time.Time         `json:"at"`
	Note      map[string]string `json:"note,omitempty"`
}

func encodeRecord(name string, n Name) ([]byte, error) {
	if err := n.check(name); err != nil {
		return nil, err
	}
	body, err := json.Marshal(recordBody{n.Digest, n.MediaType, n.Size, n.At.UTC().Round(0), n.Note})
	if err != nil {
		return nil, err
	}
	rest := strconv.AppendQuoteToASCII(nil, name)
	rest = append(rest, '\n')
	rest = append(rest, body...)
	rest = append(rest, '\n')
	record := fmt.Appendf(nil, "%s%x\n%s", recordHead, sha256.Sum256(rest), rest)
	if len(record) > MaxRecord {
		return nil, fmt.Errorf("the record has %d bytes, more than %d", len(record), MaxRecord)
	}
	return record, nil
}

func decodeRecord(record []byte) (string, Name, error) {
	lines := bytes.SplitN(record, []byte("\n"), 4)
	if len(lines) != 4 || len(lines[3]) > 0 || len(record) > MaxRecord {
		return "", Name{}, errors.New("not three lines")
	}
	name, err := strconv.Unquote(string(lines[1]))
	if err != nil {
		return "", Name{}, fmt.Errorf("name: %w", err)
	}
	var b recordBody
	if err := json.Unmarshal(lines[2], &b); err != nil {
		return "", Name{}, err
	}
	n := Name(b)
	// This also compares the checksum.
	if again, err := encodeRecord(name, n); err != nil || !bytes.Equal(again, record) {
		return "", Name{}, errors.New("damaged")
	}
	return name, n, nil
}

// check fails for what a record cannot give back as it was.
func (n Name) check(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("%d bytes, more than %d", len(name), MaxName)
	}
	if err := n.Digest.Validate(); err != nil {
		return err
	}
	if n.Size < 0 {
		return fmt.Errorf("size %d", n.Size)
	}
	texts := []string{n.MediaType}
	for k, v := range n.Note {
		texts = append(texts, k, v)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%.200q is not UTF-8", text)
		}
	}
	return nil
}
