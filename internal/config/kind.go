package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
)

// A kind is how the text of a setting becomes a value, and back.
type kind struct {
	name    string // for the tables of settings
	allowed string // what may be written
	list    bool   // a file may have a list of words
	set     func(at any, text string, p place) error
	text    func(at any) any
}

// place is what a text's meaning depends on.
type place struct {
	dir  string // relative paths start here
	home string // what ~ stands for; empty where it is not known
}

func kindOf[T any](name, allowed string, parse func(string, place) (T, error), text func(T) any) kind {
	return kind{
		name:    name,
		allowed: allowed,
		set: func(at any, s string, p place) error {
			v, err := parse(s, p)
			if err != nil {
				return fmt.Errorf("%w; allowed: %s", err, allowed)
			}
			*at.(*T) = v
			return nil
		},
		text: func(at any) any { return text(*at.(*T)) },
	}
}

const boolAllowed = "true or false"

// maxDuration bounds what is waited for: longer is a slip of the pen.
const maxDuration = 24 * time.Hour

var (
	sizeKind = kindOf("size", "bytes with a unit (500MB, 20GiB), or 0 for no limit",
		func(s string, _ place) (int64, error) { return parseSize(s) },
		func(v int64) any { return formatSize(v) })
	durationKind = kindOf("duration", "a time with its unit, up to 24h: 500ms, 2s, 1m30s",
		func(s string, _ place) (time.Duration, error) { return parseDuration(s) },
		func(v time.Duration) any { return formatDuration(v) })
	pathKind = kindOf("path", "a folder; ~ is the home folder, and a relative one starts at the file that names it", parsePath,
		func(v string) any { return v })
	addressKind = kindOf("address", "HOST:PORT, as in 127.0.0.1:5100; port 0 takes a free one",
		func(s string, _ place) (string, error) { return parseAddress(s) },
		func(v string) any { return v })
	timeoutKind = kindOf("timeout", "a time with its unit, or seconds, up to 24h: 40m, 2400",
		func(s string, _ place) (time.Duration, error) { return parseTimeout(s) },
		func(v time.Duration) any { return formatDuration(v) })
	percentKind = kindOf("percent", "a whole number from 0 to 100",
		func(s string, _ place) (int, error) { return parseCount(strings.TrimSuffix(s, "%"), 0, 100) },
		func(v int) any { return strconv.Itoa(v) })
	attemptsKind = kindOf("number", fmt.Sprintf("a whole number from 1 to %d", maxAttempts),
		func(s string, _ place) (int, error) { return parseCount(s, 1, maxAttempts) },
		func(v int) any { return strconv.Itoa(v) })
	ageKind = kindOf("age", "a number of days, as in 90d, or 0 for no limit",
		func(s string, _ place) (time.Duration, error) { return parseAge(s) },
		func(v time.Duration) any { return formatAge(v) })
	strategyKind = kindOf("word", "auto, optimal, resilient, conservative, emergency",
		func(s string, _ place) (string, error) { return parseStrategy(s) },
		func(v string) any { return v })
	referenceKind = kindOf("image", "a reference with its registry, as in registry.example.com/app:cache",
		func(s string, _ place) (string, error) { return parseReference(s) },
		func(v string) any { return v })
	boolKind = kindOf("bool", boolAllowed,
		func(s string, _ place) (bool, error) { return parseBool(s) },
		func(v bool) any { return v })
)

// units are the units of sizes, larger first for formatting.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

func parseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "BKMGTbkmgti ")
	name := strings.TrimSpace(s[len(number):])
	if number == "0" && name == "" {
		return 0, nil
	}
	var unit int64
	for _, u := range units {
		if strings.EqualFold(u.name, name) {
			unit = u.bytes
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case strings.ContainsAny(number, "+-_xXpPnNeE") || number == "":
		return 0, fmt.Errorf("%q is no size", s)
	case err != nil:
		return 0, fmt.Errorf("%q is no size", s)
	case unit == 0:
		return 0, fmt.Errorf("%q has no unit that is known", s)
	}
	bytes := v * float64(unit)
	switch {
	case bytes >= math.MaxInt64:
		return 0, fmt.Errorf("%q is too large", s)
	case v > 0 && bytes < 1:
		return 0, fmt.Errorf("%q is less than a byte", s)
	}
	return int64(bytes), nil
}

// formatSize writes v so that parseSize reads the same: in the largest unit
// that needs no fraction.
func formatSize(v int64) string {
	if v == 0 {
		return "0"
	}
	for _, u := range units {
		if v%u.bytes == 0 {
			return strconv.FormatInt(v/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10) + "B"
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no duration", s)
	case d <= 0:
		return 0, fmt.Errorf("%q is not more than nothing", s)
	case d > maxDuration:
		return 0, fmt.Errorf("%q is longer than a day", s)
	}
	return d, nil
}

// parseTimeout reads a duration, or whole seconds, as shell scripts have them.
func parseTimeout(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		s = strconv.FormatUint(n, 10) + "s"
	}
	return parseDuration(s)
}

const day = 24 * time.Hour

// parseAge reads a number of days, up to a century.
func parseAge(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(s, "d")
	n, err := strconv.ParseUint(number, 10, 31)
	switch {
	case !ok || err != nil || n == 0:
		return 0, fmt.Errorf("%q is no number of days", s)
	case n > 36500:
		return 0, fmt.Errorf("%q is longer than a century", s)
	}
	return time.Duration(n) * day, nil
}

func formatAge(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return strconv.FormatInt(int64(d/day), 10) + "d"
}

// maxAttempts bounds what a slip of the pen can cost.
const maxAttempts = 20

func parseCount(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil || s[0] == '+':
		return 0, fmt.Errorf("%q is no whole number", s)
	case n < least:
		return 0, fmt.Errorf("%q is less than %d", s, least)
	case n > most:
		return 0, fmt.Errorf("%q is more than %d", s, most)
	}
	return n, nil
}

func parseStrategy(s string) (string, error) {
	if !slices.Contains([]string{"auto", "optimal", "resilient", "conservative", "emergency"}, s) {
		return "", fmt.Errorf("%q is no strategy", s)
	}
	return s, nil
}

// parseReference reads the name of an image and returns it in full.
func parseReference(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return "", fmt.Errorf("%q is no image: %w", s, err)
	}
	return reference.TagNameOnly(named).String(), nil
}

// formatDuration drops the zero parts that time.Duration writes: 1m, not 1m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parsePath(s string, p place) (string, error) {
	switch {
	case s == "":
		return "", errors.New("no path")
	case strings.ContainsRune(s, 0):
		return "", fmt.Errorf("%q is no path", s)
	case s == "~" || strings.HasPrefix(s, "~/"):
		if p.home == "" {
			return "", fmt.Errorf("%q cannot be found, as HOME is not set", s)
		}
		return filepath.Join(p.home, s[1:]), nil
	case s[0] == '~':
		return "", fmt.Errorf("%q names another user's home: write it out", s)
	case !filepath.IsAbs(s):
		return filepath.Join(p.dir, s), nil
	}
	return filepath.Clean(s), nil
}

func parseAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is no address", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q has no port that can be", s)
	}
	if host != "" && !validHostname(host) {
		return "", fmt.Errorf("%q has no host that can be", s)
	}
	return s, nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}
