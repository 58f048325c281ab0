package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

// example is a labelled output.
type example struct {
	ID            string `json:"id"`
	Text          string `json:"text"`
	Service       string `json:"service"`
	Class         string `json:"class"`
	Host          string `json:"host"`
	Retryable     bool   `json:"retryable"`
	FallbackHelps bool   `json:"fallback_helps"`
	UserError     bool   `json:"user_error"`
}

func load(path string) ([]example, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var examples []example
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var e example
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		examples = append(examples, e)
	}
	return examples, lines.Err()
}

// class is the word that labels use for a kind.
func class(k fault.Kind) string {
	switch k {
	case fault.RateLimited:
		return "rate-limit"
	case fault.Build:
		return "user-config"
	case fault.Truncated:
		return "connection"
	case fault.Rejected:
		return "outage"
	}
	return string(k)
}

// sameHost takes the names of Docker Hub for one.
func sameHost(a, b string) bool {
	hub := func(h string) bool {
		return h == "docker.io" || h == "registry-1.docker.io" || h == "index.docker.io"
	}
	return a == b || hub(a) && hub(b)
}

// wrong says in what d is not what e wants; nothing where all is right.
func wrong(e example, d diagnose.Diagnosis) []string {
	var all []string
	for _, j := range []struct {
		name      string
		want, got any
	}{
		{"retryable", e.Retryable, d.Retryable},
		{"fallback_helps", e.FallbackHelps, d.FallbackHelps},
		{"user_error", e.UserError, d.UserError},
		{"service", e.Service, d.Service},
		{"kind", e.Class, class(d.Kind)},
	} {
		if j.want != j.got {
			all = append(all, fmt.Sprintf("%s %v, not %v", j.name, j.want, j.got))
		}
	}
	return all
}
