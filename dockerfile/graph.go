package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// The rules here are those of BuildKit's package dockerfile2llb, quirks
// included; a test asks it about every file of testdata.

// scratch is the base of a stage that starts empty. The name alone counts: a
// stage may be called so, too.
const scratch = "scratch"

// stage is a stage of the Dockerfile, or an image that a COPY or a mount names.
type stage struct {
	kind     NeedKind // of the image it starts from
	label    string   // name, or number
	baseName string   // with variables put in
	unset    []string // variables of baseName without a value
	line     int
	base     *stage // nil where baseName is an image
	replaced bool   // by a --build-context of the stage's name
	platform *ocispecs.Platform
	commands []command
	deps     []*stage
	onbuild  bool // triggers of base are in commands
	image    bool // not of the Dockerfile's own stages
	env      env
}

// command is an instruction with the stages and images it reads.
type command struct {
	instructions.Command
	sources []*stage // one for COPY --from, one for each mount of a RUN
	line    int
	last    int // its last line
}

type graph struct {
	o        Options
	target   ocispecs.Platform
	contexts contexts
	global   env
	lex      *shell.Lex
	goal     *stage
	stages   []*stage
	byName   map[string]*stage
	visit    func(*stage, command, *instructions.RunCommand) // of each RUN that is reached, if not nil
}

// newGraph builds the graph of stages, ONBUILD triggers within the file
// included.
func newGraph(f file, o Options, build, target ocispecs.Platform, c contexts) (*graph, error) {
	g := &graph{o: o, target: target, contexts: c, lex: shell.NewLex(f.EscapeToken), byName: make(map[string]*stage)}
	var err error
	if g.global, err = globalArgs(f, o, build, target, g.lex); err != nil {
		return nil, err
	}
	for i, st := range f.stages {
		s, err := g.newStage(st, i)
		if err != nil {
			return nil, err
		}
		g.add(s, st.Name)
		if s.replaced {
			s.base = nil
		}
	}
	g.goal = g.stages[len(g.stages)-1]
	if o.Target != "" {
		if g.goal = g.byName[strings.ToLower(o.Target)]; g.goal == nil {
			return nil, &Error{Err: fmt.Errorf("target %q is no stage of the Dockerfile", o.Target)}
		}
	}
	// Images are appended while this runs; they have no commands.
	for _, s := range slices.Clone(g.stages) {
		for i := range s.commands {
			if err := g.link(s, &s.commands[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := g.checkCycles(); err != nil {
		return nil, err
	}
	return g, g.addTriggers()
}

// newStage puts variables into FROM.
func (g *graph) newStage(st instructions.Stage, number int) (*stage, error) {
	line := firstLine(st.Location)
	s := &stage{kind: Image, label: st.Name, line: line}
	if s.label == "" {
		s.label = strconv.Itoa(number)
	}
	var err error
	if s.baseName, s.unset, err = g.global.expand(g.lex, st.BaseName); err != nil {
		return nil, located(err, line)
	}
	if s.baseName == "" && len(s.unset) > 0 {
		return nil, &Error{line, unsetError("FROM", st.BaseName, s.unset)}
	}
	if s.baseName == "" {
		return nil, &Error{line, fmt.Errorf("FROM %s: the name is empty", st.BaseName)}
	}
	p := g.target
	if st.Platform != "" {
		name, unset, err := g.global.expand(g.lex, st.Platform)
		if err != nil {
			return nil, located(err, line)
		}
		if name == "" && len(unset) > 0 {
			return nil, &Error{line, unsetError("--platform", st.Platform, unset)}
		}
		if name == "" {
			return nil, &Error{line, fmt.Errorf("--platform=%s: the platform is empty", st.Platform)}
		}
		if p, err = platforms.Parse(name); err != nil {
			return nil, &Error{line, fmt.Errorf("--platform=%s: %w", st.Platform, err)}
		}
		s.platform = &p
	}
	s.replaced = st.Name != "" && g.contexts.has(st.Name, p)
	for _, cmd := range st.Commands {
		s.commands = append(s.commands, command{Command: cmd, line: firstLine(cmd.Location()), last: lastLine(cmd.Location())})
	}
	return s, nil
}

// add appends s. A base is looked up by the names so far and as it is written;
// of two stages with one name the later wins.
func (g *graph) add(s *stage, name string) {
	g.stages = append(g.stages, s)
	s.base = g.byName[s.baseName]
	if name != "" {
		g.byName[name] = s
	}
}

// link finds the stages and images that c reads.
func (g *graph) link(s *stage, c *command) error {
	switch cmd := c.Command.(type) {
	case *instructions.CopyCommand:
		if cmd.From == "" {
			return nil
		}
		expanded, err := g.lex.ProcessWordWithMatches(cmd.From, newEnv())
		if err != nil {
			return located(err, c.line)
		}
		if expanded.Result != cmd.From {
			return &Error{c.line, fmt.Errorf("COPY --from=%s: variables cannot stand here: give FROM %s a name, and copy from that", cmd.From, cmd.From)}
		}
		src, err := g.source(cmd.From, CopyFrom, s, c)
		if err != nil {
			return err
		}
		c.sources = []*stage{src}
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(cmd) {
			from := m.From
			if from == "" {
				from = scratch
			}
			src, ok := g.byName[strings.ToLower(from)]
			if !ok {
				src = g.newImage(from, MountFrom, s, c.line)
			}
			c.sources = append(c.sources, src)
		}
	}
	for _, src := range c.sources {
		s.deps = append(s.deps, src)
		if src.image && !slices.Contains(g.stages, src) {
			g.add(src, "")
		}
	}
	return nil
}

// source finds what --from of a COPY means: a stage by number, a stage by
// name, else an image.
func (g *graph) source(from string, kind NeedKind, s *stage, c *command) (*stage, error) {
	if n, err := strconv.Atoi(from); err == nil {
		if n < 0 || n >= len(g.stages) {
			return nil, &Error{c.line, fmt.Errorf("COPY --from=%s: there is no stage of this number", from)}
		}
		return g.stages[n], nil
	}
	if src, ok := g.byName[strings.ToLower(from)]; ok {
		return src, nil
	}
	return g.newImage(from, kind, s, c.line), nil
}

func (g *graph) newImage(name string, kind NeedKind, s *stage, line int) *stage {
	return &stage{kind: kind, label: s.label, baseName: name, line: line, image: true}
}

// checkCycles refuses stages that need each other. BuildKit looks at COPY and
// mounts alone, since a FROM always looks back.
func (g *graph) checkCycles() error {
	done, open := make(map[*stage]bool), make(map[*stage]bool)
	var visit func(s *stage) bool
	visit = func(s *stage) bool {
		if done[s] {
			return false
		}
		done[s], open[s] = true, true
		for _, d := range s.deps {
			if open[d] || visit(d) {
				return true
			}
		}
		delete(open, s)
		return false
	}
	for _, s := range g.stages {
		if visit(s) {
			return &Error{s.line, fmt.Errorf("stage %s needs itself, by way of others or at once", s.label)}
		}
	}
	return nil
}

// addTriggers puts the ONBUILD instructions of a base that is a stage of this
// file before the stage's own, until no more are reached.
func (g *graph) addTriggers() error {
	for again := true; again; {
		again = false
		reached := g.reached()
		for _, s := range slices.Clone(g.stages) {
			if !reached[s] || s.base == nil || s.onbuild {
				continue
			}
			s.onbuild = true
			var triggers []command
			for _, c := range s.base.commands {
				on, ok := c.Command.(*instructions.OnbuildCommand)
				if !ok {
					continue
				}
				t, err := g.trigger(s, on.Expression)
				if err != nil {
					return located(err, s.line)
				}
				triggers = append(triggers, t)
				again = again || len(t.sources) > 0
			}
			s.commands = append(triggers, s.commands...)
		}
	}
	return nil
}

func (g *graph) trigger(s *stage, expression string) (command, error) {
	result, err := parser.Parse(strings.NewReader(expression))
	if err != nil {
		return command{}, &Error{s.line, fmt.Errorf("ONBUILD %s: %w", expression, err)}
	}
	if len(result.AST.Children) != 1 {
		return command{}, &Error{s.line, errors.New("ONBUILD takes a single instruction")}
	}
	cmd, err := instructions.ParseCommand(result.AST.Children[0])
	if err != nil {
		return command{}, &Error{s.line, fmt.Errorf("ONBUILD %s: %w", expression, err)}
	}
	c := command{Command: cmd, line: s.line, last: s.line}
	return c, g.link(s, &c)
}

// reached returns the stages that the target reaches.
func (g *graph) reached() map[*stage]bool {
	seen := make(map[*stage]bool)
	var visit func(s *stage)
	visit = func(s *stage) {
		if seen[s] {
			return
		}
		seen[s] = true
		if s.base != nil {
			visit(s.base)
		}
		for _, d := range s.deps {
			visit(d)
		}
	}
	visit(g.goal)
	return seen
}

// needs lists what the reached stages need, in no particular order.
func (g *graph) needs(lines []string, substitutes map[int][]string) ([]Need, error) {
	var needs []Need
	reached := g.reached()
	for _, s := range g.stages {
		if s.base != nil || s.baseName == scratch && !s.replaced {
			if !s.image && len(substitutes[s.line]) > 0 {
				return nil, &Error{s.line - 1, slip{fmt.Errorf("FROM %s is a stage or scratch, and never missing: no image can stand in for it", s.baseName)}}
			}
			continue
		}
		named, err := reference.ParseNormalizedNamed(s.baseName)
		if err != nil && len(s.unset) > 0 {
			return nil, &Error{s.line, unsetError("FROM", s.baseName, s.unset)}
		}
		if err != nil {
			return nil, &Error{s.line, fmt.Errorf("image %q: %w", s.baseName, err)}
		}
		if !reached[s] || s.replaced {
			continue
		}
		p := g.target
		if s.platform != nil {
			p = *s.platform
		}
		full := reference.TagNameOnly(named).String()
		if g.contexts.has(full, p) {
			continue
		}
		n := Need{Kind: s.kind, As: s.baseName, Ref: full, Host: reference.Domain(named),
			Platform: platforms.FormatAll(p), Line: s.line, Stage: s.label, Unset: s.unset}
		if s.kind == Image {
			n.Substitutes = substitutes[s.line]
		}
		if s.kind == MountFrom {
			n.Line = findLine(lines, s.line, s.line+maxSpan, s.baseName)
		}
		needs = append(needs, n)
	}

	ready := make(map[*stage]bool)
	for _, s := range g.stages {
		if s.image || s.replaced {
			ready[s] = true
		}
	}
	for _, s := range g.stages {
		if !reached[s] || ready[s] {
			continue
		}
		ready[s] = true
		found, err := g.walk(s, ready, lines)
		if err != nil {
			return nil, err
		}
		needs = append(needs, found...)
	}
	return needs, nil
}

// walk goes through the instructions of s with their environment.
func (g *graph) walk(s *stage, ready map[*stage]bool, lines []string) ([]Need, error) {
	s.env = newEnv()
	if s.base != nil {
		s.env = s.base.env.clone()
	}
	if _, ok := s.env.Get("PATH"); !ok {
		s.env.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", nil)
	}
	var needs []Need
	for _, c := range s.commands {
		if err := c.checkOrder(ready); err != nil {
			return nil, err
		}
		s.env.define(c.Command, g.o, g.global, g.lex)
		switch cmd := c.Command.(type) {
		case *instructions.AddCommand:
			for _, src := range cmd.SourcePaths {
				if n, ok := g.added(s, c, src, lines); ok {
					n.Checksum = cmd.Checksum
					if sum, _, err := s.env.expand(g.lex, cmd.Checksum); err == nil {
						n.Checksum = sum
					}
					needs = append(needs, n)
				}
			}
		case *instructions.RunCommand:
			needs = append(needs, runNeeds(s, c, cmd, lines)...)
			if g.visit != nil {
				g.visit(s, c, cmd)
			}
		}
	}
	return needs, nil
}

// checkOrder refuses to read from a stage that comes later.
func (c command) checkOrder(ready map[*stage]bool) error {
	run, isRun := c.Command.(*instructions.RunCommand)
	for i, src := range c.sources {
		if ready[src] || isRun && instructions.GetMounts(run)[i].From == "" {
			continue
		}
		return &Error{c.line, fmt.Errorf("%s: stage %s must come before the stage that reads it", strings.ToUpper(c.Name()), src.label)}
	}
	return nil
}

// added returns the need of one source of an ADD, if it is not a file of the
// build context.
func (g *graph) added(s *stage, c command, src string, lines []string) (Need, bool) {
	as, unset, err := s.env.expand(g.lex, src)
	if err != nil {
		as = src
	}
	n := Need{As: as, Ref: as, Line: findLine(lines, c.line, c.last, src), Stage: s.label, Unset: unset}
	if git, isGit, err := dfgitutil.ParseGitRef(as); (err == nil || isGit) && git != nil && !git.IndistinguishableFromLocal {
		n.Kind, n.Ref, n.Host, n.Point = Git, git.Remote, gitHost(git.Remote), git.Ref
		return n, true
	}
	if strings.HasPrefix(as, "http://") || strings.HasPrefix(as, "https://") {
		n.Kind, n.Host = AddURL, urlHost(as)
		return n, true
	}
	return Need{}, false
}

// maxSpan bounds the search for the line of a mount, since what an image is
// made for knows its first line alone.
const maxSpan = 64

// findLine returns the first line from first to last that has word in it, or
// first. Lines count from 1.
func findLine(lines []string, first, last int, word string) int {
	for l := max(first, 1); l <= min(last, len(lines)); l++ {
		if strings.Contains(lines[l-1], word) {
			return l
		}
	}
	return first
}
