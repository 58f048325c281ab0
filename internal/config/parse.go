package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseSize reads a size as settings have it: 500MB, 20GiB, or 0.
func ParseSize(s string) (int64, error) { return parseSize(s) }

// maxAge bounds an age: longer is a slip of the pen.
const maxAge = 100 * 365 * 24 * time.Hour

// ParseAge reads how long ago something may be: 90m, 12h, 30d, 2w.
func ParseAge(s string) (time.Duration, error) {
	days := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var age time.Duration
	var err error
	if s == "" {
		return 0, fmt.Errorf("%q is no time", s)
	}
	if unit, ok := days[s[len(s)-1]]; ok {
		var n uint64
		n, err = strconv.ParseUint(strings.TrimSpace(s[:len(s)-1]), 10, 16)
		age = time.Duration(n) * unit
	} else {
		age, err = time.ParseDuration(s)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no time", s)
	case age <= 0:
		return 0, fmt.Errorf("%q is not more than nothing", s)
	case age > maxAge:
		return 0, fmt.Errorf("%q is longer than anything was kept", s)
	}
	return age, nil
}
