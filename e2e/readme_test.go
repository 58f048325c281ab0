package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?s)```sh\n(.*?)```")

// Every command of the README is one that is known here, and run.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	run := map[string]func(t *testing.T){
		// These two and what they need are run whole, by CI and by hand.
		"make demo":  makes("demo"),
		"make test":  makes("test"),
		"make build": makes("build"),
		"bin/outlast build -t app:dev examples/conductor-loop": func(t *testing.T) {
			b := newBench(t, publicSites)
			b.build(example, "-t", "app:dev").want(t, 0)
		},
		"bin/outlast gateway --listen 127.0.0.1:5100": func(t *testing.T) {
			b := newBench(t, publicSites)
			b.run("gateway", "--help").want(t, 0, "--listen")
		},
	}
	if len(commands) != len(run) {
		t.Errorf("got commands %q, want %d of them", commands, len(run))
	}
	for _, c := range commands {
		f, ok := run[c]
		if !ok {
			t.Errorf("nobody tries %q", c)
			continue
		}
		t.Run(c, f)
	}
}

// makes checks that the Makefile has a target.
func makes(target string) func(t *testing.T) {
	return func(t *testing.T) {
		makefile, err := os.ReadFile("../Makefile")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(strings.Split(string(makefile), "\n"), func(l string) bool { return strings.HasPrefix(l, target+":") }) {
			t.Errorf("there is no target %s", target)
		}
	}
}
