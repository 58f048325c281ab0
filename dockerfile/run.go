package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// runNeeds lists the package managers and URLs that a RUN asks for: each
// manager once, at the line where it is first called.
func runNeeds(s *stage, c command, cmd *instructions.RunCommand, lines []string) []Need {
	if instructions.GetNetwork(cmd) == instructions.NetworkNone {
		return nil
	}
	var needs []Need
	seen := make(map[string]bool)
	line := c.line
	for _, call := range runCalls(cmd) {
		kind, what, ok := call.fetches(s.env)
		if !ok {
			continue
		}
		line = call.line(lines, line, c.last)
		if seen[what] {
			continue
		}
		seen[what] = true
		n := Need{Kind: kind, As: what, Ref: what, Line: line, Stage: s.label}
		switch kind {
		case RunURL:
			n.Host = urlHost(what)
		case Git:
			n.Host = gitHost(what)
		}
		needs = append(needs, n)
	}
	return needs
}

// runCalls returns the commands of a RUN in any of its forms: a line for the
// shell, a list of words, here-documents.
func runCalls(cmd *instructions.RunCommand) []call {
	if !cmd.PrependShell {
		argv := strip(cmd.CmdLine)
		if len(argv) == 0 {
			return nil
		}
		if script, ok := argv.script(); ok {
			return calls(script)
		}
		return []call{argv}
	}
	line := strings.Join(cmd.CmdLine, " ")
	if len(cmd.Files) == 0 {
		return calls(line)
	}
	if doc, err := parser.ParseHeredoc(line); err == nil && doc != nil {
		return script(cmd.Files[0].Data)
	}
	// A command reads the documents. Where it is a shell, they are scripts.
	all := calls(line)
	for _, c := range all {
		if shells[c.name()] {
			for _, f := range cmd.Files {
				all = append(all, script(f.Data)...)
			}
			break
		}
	}
	return all
}

// script returns the commands of a document that runs as a program by itself:
// none, if its first line names another interpreter than a shell.
func script(text string) []call {
	if first, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, "#!") {
		fields := strings.Fields(first[2:])
		if len(fields) == 0 || !shells[call(fields[len(fields)-1:]).name()] && !shells[call(fields).name()] {
			return nil
		}
	}
	return calls(text)
}

// line returns the first line from first to last where c seems to be called,
// or first.
func (c call) line(lines []string, first, last int) int {
	word := 0
	for l := max(first, 1); l <= min(last, len(lines)); l++ {
		_, after, ok := cutWord(lines[l-1], c[0])
		if !ok {
			continue
		}
		if len(c) == 1 || strings.HasPrefix(strings.TrimLeft(after, " \t\","), c[1]) {
			return l
		}
		if word == 0 {
			word = l
		}
	}
	return max(word, first)
}

// cutWord cuts s around the first place where word stands alone.
func cutWord(s, word string) (before, after string, ok bool) {
	for at := 0; at+len(word) <= len(s); at++ {
		i := strings.Index(s[at:], word)
		if i < 0 {
			break
		}
		at += i
		end := at + len(word)
		if (at == 0 || !inWord(s[at-1])) && (end == len(s) || !inWord(s[end])) {
			return s[:at], s[end:], true
		}
	}
	return s, "", false
}

func inWord(c byte) bool { return isNameByte(c) || c == '-' || c == '.' }
