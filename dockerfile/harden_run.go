package dockerfile

import (
	"bytes"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// leave says above an instruction why it stays.
func (h *hardening) leave(n *parser.Node, manager, why string) {
	h.left = append(h.left, Left{n.StartLine, manager, why})
	text := leftMark + manager + ": " + why
	for l := n.StartLine - 1; l > 0 && bytes.HasPrefix(bytes.TrimSpace(h.line(l)), []byte("#")); l-- {
		if string(bytes.TrimSpace(h.line(l))) == text {
			return
		}
	}
	at := h.start(n.StartLine)
	if i, ok := h.notes[at]; ok {
		h.edits[i].Text += text + "\n"
		return
	}
	h.notes[at] = len(h.edits)
	h.put(at, text+"\n")
}

// leaveAll leaves a RUN with all its package managers.
func (h *hardening) leaveAll(n *parser.Node, cmd *instructions.RunCommand, why string) {
	for _, manager := range slices.Sorted(maps.Keys(retriedIn(runCalls(cmd)))) {
		h.leave(n, manager, why)
	}
}

// retriedIn counts the commands that could be tried again, by package manager.
func retriedIn(all []call) map[string]int {
	found := make(map[string]int)
	for _, c := range all {
		if kind, manager, ok := c.fetches(newEnv()); ok && kind == Packages && c.again(manager) {
			found[manager]++
		}
	}
	return found
}

// run hardens the commands of a RUN.
func (h *hardening) run(n *parser.Node, cmd *instructions.RunCommand, p piece, below int) {
	if instructions.GetNetwork(cmd) == instructions.NetworkNone {
		return
	}
	for _, m := range instructions.GetMounts(cmd) {
		if m.From == stageName && h.marked {
			return
		}
	}
	// The parser leaves a mount's type for later.
	flags := p.text[:len(p.text)-len(p.arguments().text)]
	cached := bytes.Contains(bytes.ToLower(flags), []byte("type=cache"))
	script, why := h.script(n, cmd, p, below)
	if why != "" {
		h.leaveAll(n, cmd, why)
		return
	}
	all, whole := spots(string(script.text))
	places, left := hardenable(string(script.text), all, whole)
	var own []call
	for _, s := range all {
		own = append(own, s.call)
	}
	atHand := retriedIn(own)
	for manager, count := range retriedIn(runCalls(cmd)) {
		if left[manager] == "" && atHand[manager] < count {
			left[manager] = "it is called by a script within the script"
		}
	}
	for _, manager := range slices.Sorted(maps.Keys(left)) {
		h.leave(n, manager, left[manager])
	}
	at, ok := runAt(h.text, n.StartLine)
	if len(places) == 0 || !ok {
		return
	}
	mounts := stageMount
	if !cached {
		managers := make(map[string]bool)
		for _, place := range places {
			managers[place.manager] = true
		}
		for _, m := range slices.Sorted(maps.Keys(managers)) {
			mounts += kept[m]
		}
	}
	h.put(at, mounts)
	for _, place := range places {
		h.put(script.at[place.at], place.text)
	}
	h.uses = true
}

// script returns the shell's text of a RUN, or says why it stays as it is.
func (h *hardening) script(n *parser.Node, cmd *instructions.RunCommand, p piece, below int) (piece, string) {
	if !cmd.PrependShell {
		return piece{}, "it has no shell (write RUN command, without brackets)"
	}
	if len(h.shell) > 0 && !posix[strings.ToLower(path.Base(h.shell[0]))] {
		return piece{}, "its shell is none of POSIX"
	}
	line := strings.Join(cmd.CmdLine, " ")
	command := p.arguments()
	if !same(command.text, []byte(line)) {
		return piece{}, "its lines could not be told apart"
	}
	if len(cmd.Files) == 0 {
		return command, ""
	}
	doc, err := parser.ParseHeredoc(line)
	if len(cmd.Files) > 1 {
		return piece{}, "it has several here-documents"
	}
	whole := err == nil && doc != nil
	runs := slices.ContainsFunc(calls(line), func(c call) bool { return shells[c.name()] && c.name() != "su" && c.name() != "busybox" })
	if !whole && !runs {
		return command, ""
	}
	body := h.body(below, n.EndLine-1)
	if !same(body.text, []byte(cmd.Files[0].Data)) {
		return piece{}, "its lines could not be told apart"
	}
	if len(script(cmd.Files[0].Data)) == 0 {
		return piece{}, "" // another language's
	}
	return body, ""
}

// posix are the shells that our words are for.
var posix = words("sh bash ash dash ksh zsh")

// A place is where a word goes into a script.
type place struct {
	at      int
	text    string
	manager string
}

// hardenable finds the places for words among the commands of a script, and the
// package managers that must stay, with the reason.
func hardenable(script string, all []spot, whole bool) (places []place, left map[string]string) {
	left = make(map[string]string)
	for _, s := range all {
		kind, manager, ok := s.call.fetches(newEnv())
		if !ok || kind != Packages {
			continue
		}
		repeat := s.call.again(manager)
		if !repeat && manager != "go" {
			continue
		}
		if len(s.call) == 1 && bracket.MatchString(script[s.at:]) {
			continue // of a case, maybe
		}
		why := s.keeps(whole)
		switch {
		case why == "" && repeat:
			places = append(places, place{s.at, againWord, manager})
		case why == "" || !repeat && !s.outside():
			places = append(places, place{s.at, onceWord, manager})
		case repeat:
			left[manager] = why
		}
	}
	return places, left
}

// bracket is behind a word that is the pattern of a case, or a function's name.
var bracket = regexp.MustCompile(`^\S*?\s*[()]`)

// outside reports whether a command runs where the stage is not mounted.
func (s *spot) outside() bool {
	return slices.ContainsFunc(s.words, func(w string) bool { return path.Base(w) == "chroot" })
}

// keeps says why a command cannot be tried again.
func (s *spot) keeps(whole bool) string {
	piped := s.joint.in && !slices.ContainsFunc(s.words, func(w string) bool { return path.Base(w) == "xargs" })
	switch {
	case s.outside():
		return "it runs in another root"
	case s.inner, s.joint.out, s.joint.writes, !whole:
		return "another try would write its output twice"
	case piped, s.joint.reads:
		return "another try would find its input read already"
	}
	return ""
}
