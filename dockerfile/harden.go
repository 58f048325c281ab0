package dockerfile

import (
	"bytes"
	_ "embed" // the programs of the stage
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The programs that a hardened file brings along. They need a POSIX shell.
var (
	//go:embed persist/again
	again string
	//go:embed persist/once
	once string
	//go:embed persist/settings
	settings string
)

const (
	hardenedMark = "# Written by `outlast harden`"
	leftMark     = "# Not hardened: "
	stageName    = "persist"
	stageMount   = " --mount=from=persist,target=/dev/persist"
	againWord    = "/dev/persist/again "
	onceWord     = "/dev/persist/once "
)

// kept are the folders in which package managers keep what they fetched, and
// nothing that the image needs. Two apts cannot have theirs at once.
var kept = map[string]string{
	"apt": " --mount=type=cache,target=/dev/kept/apt,sharing=locked",
	"go":  " --mount=type=cache,target=/dev/kept/go,mode=1777",
	"npm": " --mount=type=cache,target=/dev/kept/npm,mode=1777",
	"pip": " --mount=type=cache,target=/dev/kept/pip,mode=1777",
}

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
	h := hardening{source: newSource(src, f.EscapeToken), o: o, shells: make(map[string][]string), marked: Hardened(src)}
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

// from pins the image of a stage.
func (h *hardening) from(st *instructions.Stage, p piece) {
	base, ours := strings.ToLower(st.BaseName), slices.Contains(h.stages, strings.ToLower(st.BaseName))
	h.shell = nil
	if ours {
		h.shell = h.shells[base]
	}
	name := strings.ToLower(st.Name)
	h.stages = append(h.stages, name)
	h.shells[name] = h.shell
	if arguments := p.arguments(); !ours && base != scratch && bytes.HasPrefix(arguments.text, []byte(st.BaseName)) {
		h.pin(st.BaseName, arguments)
	}
}

// pin puts the digest behind the image that p begins with.
func (h *hardening) pin(image string, p piece) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return
	}
	if _, ok := named.(reference.Digested); ok {
		return
	}
	if digest, ok := h.o.Pins[reference.TagNameOnly(named).String()]; ok {
		h.put(p.at[len(image)-1]+1, "@"+digest)
	}
}

// copyFrom pins the image of a COPY, or counts on, where it names a stage by
// its number.
func (h *hardening) copyFrom(cmd *instructions.CopyCommand, p piece) {
	i := bytes.Index(p.text, []byte("--from="+cmd.From))
	if cmd.From == "" || i < 0 {
		return
	}
	p = p.from(i + len("--from="))
	if !number.MatchString(cmd.From) {
		if !slices.Contains(h.stages, strings.ToLower(cmd.From)) {
			h.pin(cmd.From, p)
		}
		return
	}
	n := 0
	if _, err := fmt.Sscan(cmd.From, &n); err == nil {
		h.renums = append(h.renums, Edit{At: p.at[0], Text: fmt.Sprint(n + 1), Cut: len(cmd.From)})
	}
}

var number = regexp.MustCompile(`^\d{1,6}$`)

// mountFrom pins the images of mounts.
func (h *hardening) mountFrom(cmd *instructions.RunCommand, p piece) {
	flags := len(p.text) - len(p.arguments().text)
	for _, m := range instructions.GetMounts(cmd) {
		i := bytes.Index(p.text[:flags], []byte("from="+m.From))
		if m.From != "" && i >= 0 && !slices.Contains(h.stages, strings.ToLower(m.From)) {
			h.pin(m.From, p.from(i+len("from=")))
		}
	}
}

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
	if i := slices.IndexFunc(h.edits, func(e Edit) bool { return e.At == at }); i >= 0 {
		if !strings.Contains(h.edits[i].Text, text+"\n") {
			h.edits[i].Text += text + "\n"
		}
		return
	}
	h.put(at, text+"\n")
}

// leaveAll leaves a RUN with all its package managers.
func (h *hardening) leaveAll(n *parser.Node, cmd *instructions.RunCommand, why string) {
	for _, manager := range retriedIn(runCalls(cmd)) {
		h.leave(n, manager, why)
	}
}

// retriedIn lists the package managers of commands that could be tried again.
func retriedIn(all []call) []string {
	found := make(map[string]bool)
	for _, c := range all {
		if kind, manager, ok := c.fetches(newEnv()); ok && kind == Packages && c.again(manager) {
			found[manager] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
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
	places, managers, left := hardenable(string(script.text))
	wrapped := make(map[string]int)
	for _, m := range managers {
		wrapped[m]++
	}
	for _, manager := range slices.Sorted(maps.Keys(left)) {
		h.leave(n, manager, left[manager])
	}
	for _, manager := range retriedIn(runCalls(cmd)) {
		if left[manager] == "" && wrapped[manager] == 0 {
			h.leave(n, manager, "it is called by a script within the script")
		}
	}
	at, ok := runAt(h.text, n.StartLine)
	if len(places) == 0 || !ok {
		return
	}
	mounts := stageMount
	if !cached {
		for _, m := range slices.Sorted(maps.Keys(wrapped)) {
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
	at   int
	text string
}

// hardenable finds the places in a script where commands are tried again, the
// managers at each of them, and the managers that must stay, with the reason.
func hardenable(script string) (places []place, managers []string, left map[string]string) {
	left = make(map[string]string)
	all, whole := spots(script)
	for _, s := range all {
		kind, manager, ok := s.call.fetches(newEnv())
		if !ok || kind != Packages {
			continue
		}
		repeat := s.call.again(manager)
		if !repeat && manager != "go" {
			continue
		}
		why := s.keeps(whole)
		switch {
		case why == "" && repeat:
			places, managers = append(places, place{s.at, againWord}), append(managers, manager)
		case why == "" || !repeat && !s.outside():
			places, managers = append(places, place{s.at, onceWord}), append(managers, manager)
		case repeat:
			left[manager] = why
		}
	}
	return places, managers, left
}

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
		if i := slices.IndexFunc(h.edits, func(e Edit) bool { return e.At == t.At }); i >= 0 {
			h.edits[i].Text = h.edits[i].Text + t.Text
			continue
		}
		h.edits = append(h.edits, t)
	}
}

// stageText is the stage that brings the programs along. Steps mount it below
// /dev, which is fresh in each step: nothing stays in the image.
func stageText() string {
	return "# What steps call so that they persist. It is mounted, and is no part of the image.\n" +
		"FROM scratch AS " + stageName + "\n" + settings +
		"COPY --chmod=755 <<'AGAIN' /again\n" + again + "AGAIN\n" +
		"COPY --chmod=755 <<'ONCE' /once\n" + once + "ONCE\n\n"
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
