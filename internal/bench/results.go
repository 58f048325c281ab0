package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// book is what was measured, by item: the last measure of each counts.
type book map[string]section

// readResults reads what a file holds. Where there is none, or no name, it is
// nothing.
func readResults(file string) (book, error) {
	b := make(book)
	if file == "" {
		return b, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return b, nil
}

// write keeps b in a file. An empty name keeps nothing.
func (b book) write(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// sections are those of b in the order of the items.
func (b book) sections() []section {
	var all []section
	for _, i := range items {
		if s, ok := b[i.name]; ok {
			all = append(all, s)
		}
	}
	return all
}
