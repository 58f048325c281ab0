package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// HardenOptions say how to harden.
type HardenOptions struct {
	// Name of the file, for the line that says where the hardened one is from.
	Name string

	// Pins are the digests of images, by their references in full.
	Pins map[string]string
}

// Hardened reports whether Harden wrote a file.
func Hardened(src []byte) bool {
	for line := range bytes.Lines(src) {
		if bytes.HasPrefix(line, []byte(hardenedMark)) {
			return true
		}
		if !directive.Match(line) {
			return false
		}
	}
	return false
}

// directive is a line in which the parser looks for "# escape=" and the like.
var directive = regexp.MustCompile(`^(\xef\xbb\xbf)?\s*(#|//)\s*[a-zA-Z][a-zA-Z0-9]*\s*=.|^(\xef\xbb\xbf)?#!`)

// Harden makes a Dockerfile that withstands failing services by itself, for any
// builder: package managers are called by a program that tries again, and from
// other sources; images have their digests. The edits keep every byte of src
// but for the numbers of stages, since there is one more. What is hardened
// already stays. Left says what could not be. Errors are *Error.
func Harden(src []byte, o HardenOptions) (edits []Edit, left []Left, err error) {
	f, err := parse(src)
	if err != nil {
		return nil, nil, err
	}
	h := hardening{source: newSource(src, f.EscapeToken), o: o, shells: make(map[string][]string), notes: make(map[int]int), marked: Hardened(src)}
	if err := h.readable(); err != nil {
		return nil, nil, err
	}
	for _, st := range f.stages {
		if strings.EqualFold(st.Name, stageName) {
			if !h.marked {
				return nil, nil, &Error{firstLine(st.Location), errors.New(`a stage is called "persist", as the one that is added: give it another name`)}
			}
			h.has = true
		}
	}
	for _, n := range f.AST.Children {
		if err := h.instruction(n); err != nil {
			return nil, nil, err
		}
	}
	h.head(f)
	if err := h.check(f); err != nil {
		return nil, nil, err
	}
	return h.edits, h.left, nil
}

// hardening is a file that is being hardened.
type hardening struct {
	source
	o      HardenOptions
	marked bool                // it was hardened before
	has    bool                // the stage is there
	uses   bool                // the stage is needed
	stages []string            // names so far
	shells map[string][]string // of stages, by name
	shell  []string            // of the stage; nil is /bin/sh
	edits  []Edit
	renums []Edit // numbers of stages
	left   []Left
	notes  map[int]int // edits that are comments, by their places
}

func (h *hardening) put(at int, text string) { h.edits = append(h.edits, Edit{At: at, Text: text}) }

// readable refuses a frontend that may not know here-documents: Docker's does
// from 1.4 on.
func (h *hardening) readable() error {
	n, ok, err := frontend(h.text, nil)
	if err != nil || !ok {
		return err
	}
	if !dockers(n) || oldFrontend.MatchString(n.As) {
		return &Error{n.Line, fmt.Errorf("its frontend %s may not know here-documents: write docker/dockerfile:1", n.As)}
	}
	return nil
}

var oldFrontend = regexp.MustCompile(`:(1\.[0-3](\.\d+)?(-labs|-experimental)?|0\..*|experimental|.*-experimental)$`)

func (h *hardening) instruction(n *parser.Node) error {
	parsed, err := instructions.ParseInstruction(n)
	if err != nil {
		return located(err, n.StartLine)
	}
	p, below := h.source.instruction(n)
	switch cmd := parsed.(type) {
	case *instructions.Stage:
		h.from(cmd, p)
	case *instructions.ShellCommand:
		h.shell = cmd.Shell
		h.shells[h.stages[len(h.stages)-1]] = cmd.Shell
	case *instructions.CopyCommand:
		h.copyFrom(cmd, p)
	case *instructions.OnbuildCommand:
		if inner, err := parser.Parse(strings.NewReader(cmd.Expression)); err == nil && len(inner.AST.Children) == 1 {
			if c, err := instructions.ParseCommand(inner.AST.Children[0]); err == nil {
				if run, ok := c.(*instructions.RunCommand); ok {
					h.leaveAll(n, run, "it runs in builds on top of this image")
				}
			}
		}
	case *instructions.RunCommand:
		h.mountFrom(cmd, p)
		h.run(n, cmd, p, below)
	}
	return nil
}

// head puts the mark and the stage before the first FROM.
func (h *hardening) head(f file) {
	var texts []Edit
	if !h.marked {
		line := 1
		for line <= len(h.lines) && directive.Match(h.line(line)) {
			line++
		}
		from := h.o.Name
		if from == "" {
			from = "standard input"
		}
		below := "\n"
		if bytes.HasPrefix(h.line(min(line, len(h.lines))), []byte("#")) {
			below = "#\n" // the file's own comment goes on
		}
		texts = append(texts, Edit{At: h.start(line), Text: hardenedMark + " from " + from + ": change that, and write this again.\n" + below})
	}
	if h.uses && !h.has {
		line := firstLine(f.stages[0].Location)
		for line > 1 && bytes.HasPrefix(bytes.TrimSpace(h.line(line-1)), []byte("#")) && !directive.Match(h.line(line-1)) {
			line--
		}
		texts = append(texts, Edit{At: h.start(line), Text: stageText()})
		h.edits = append(h.edits, h.renums...)
	}
	for _, t := range texts {
		if t.At == 0 && bytes.HasPrefix(h.text, []byte("\xef\xbb\xbf")) {
			t.At = 3 // a byte order mark is the first thing, or an error
		}
		if i := slices.IndexFunc(h.edits, func(e Edit) bool { return e.At == t.At }); i >= 0 {
			h.edits[i].Text = h.edits[i].Text + t.Text
			continue
		}
		h.edits = append(h.edits, t)
	}
}

// check reads the hardened file: it must say the same but for what was added.
func (h *hardening) check(f file) error {
	out := Apply(h.text, h.edits)
	g, err := parse(out)
	if err != nil {
		return err
	}
	added := 0
	if h.uses && !h.has {
		added = 1
	}
	differ := &Error{Err: errors.New("it cannot be hardened without changing what it says")}
	if len(g.stages) != len(f.stages)+added || g.EscapeToken != f.EscapeToken {
		return differ
	}
	for i, st := range f.stages {
		if len(st.Commands) != len(g.stages[i+added].Commands) {
			return differ
		}
	}
	return nil
}
