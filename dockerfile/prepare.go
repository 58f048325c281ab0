package dockerfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Preparation says how a Dockerfile's package managers get their settings.
type Preparation struct {
	// Edits add mounts of secrets to RUNs, and nothing else.
	Edits []Edit

	// Managers are those that the edits are for, sorted. A build of the
	// edited file must be given all Secrets of each: BuildKit sets the
	// variable of one that is missing to nothing.
	Managers []string

	// Left are the RUNs whose package manager was left alone.
	Left []Left
}

// Left is a RUN whose package manager keeps its own settings.
type Left struct {
	Line    int
	Manager string
	Why     string
}

// PrepareOptions say for which build a Dockerfile is prepared.
type PrepareOptions struct {
	Options

	// Managers are the ones to prepare for, by their names in a Need.
	Managers []string

	// Env is what base images set, by the image in full, for all platforms.
	// What an image sets that is not here is not known.
	Env map[string][]string

	// Lists are the base images, in full, whose list of apk's repositories is
	// known, so that their ImageSecret can be given.
	Lists map[string]bool
}

// Prepare finds the RUNs that use one of the package managers, and adds the
// mounts of their secrets. Where the user says himself what a secret would say,
// or may, the RUN stays as it is; so do those with no network and those that
// run in builds on top of the image (ONBUILD). The edited file has the
// instructions of src, in the same lines. Errors are *Error; a file that cannot
// be prepared at all is an error too.
func Prepare(src []byte, o PrepareOptions) (Preparation, error) {
	if err := mountable(src, o.Args); err != nil {
		return Preparation{}, err
	}
	build, targets, err := o.platforms()
	if err != nil {
		return Preparation{}, &Error{Err: err}
	}
	votes := make(map[vote]verdict)
	for _, target := range targets {
		if err := o.collect(src, build, target, votes); err != nil {
			return Preparation{}, err
		}
	}
	p := decide(src, votes)
	if err := sameBuild(src, Apply(src, p.Edits)); err != nil {
		return Preparation{}, err
	}
	return p, nil
}

// A vote is a package manager in the RUN at a line.
type vote struct {
	line    int
	manager string
}

// A verdict says why a RUN is left alone, or of which image its secret is.
type verdict struct{ why, image string }

// collect goes through the RUNs of a build for one platform.
func (o PrepareOptions) collect(src []byte, build, target ocispecs.Platform, votes map[vote]verdict) error {
	file, err := parse(src)
	if err != nil {
		return err
	}
	g, err := newGraph(file, o.Options, build, target, contextNames(o.Contexts))
	if err != nil {
		return err
	}
	lines := strings.Split(string(src), "\n")
	g.visit = func(s *stage, c command, cmd *instructions.RunCommand) {
		text := strings.Join(lines[max(c.line-1, 0):min(max(c.last, c.line), len(lines))], "\n")
		for _, n := range runNeeds(s, c, cmd, lines) {
			carrier := carrierOf(n.Ref)
			if n.Kind != Packages || carrier == nil || !slices.Contains(o.Managers, n.Ref) {
				continue
			}
			now := verdict{why: carrier.refusal(s.env, o.baseEnv(s), text, string(src))}
			if carrier.judge != nil && now.why == "" {
				now.why = carrier.judge(cmd)
			}
			if carrier.image && now.why == "" {
				now = o.imageVerdict(s, c, cmd, text)
			}
			v := vote{c.line, n.Ref}
			before, voted := votes[v]
			switch {
			case voted && before.why == "" && now.why == "" && before.image != now.image:
				now = verdict{why: "its platforms have different base images"}
			case before.why != "":
				now = before
			}
			votes[v] = now
		}
	}
	_, err = g.needs(lines, nil)
	return err
}

// baseEnv is what the image sets that a stage begins with, or began with that
// it stands on. It is nil where that is not known.
func (o PrepareOptions) baseEnv(s *stage) []string {
	name, ok := baseOf(s)
	if !ok {
		return nil
	}
	if name == scratch {
		return []string{}
	}
	return o.Env[name]
}

// baseOf is the image, in full, that a stage stands on, or scratch.
func baseOf(s *stage) (string, bool) {
	for s.base != nil {
		s = s.base
	}
	if s.replaced {
		return "", false
	}
	if s.baseName == scratch {
		return scratch, true
	}
	named, err := reference.ParseNormalizedNamed(s.baseName)
	if err != nil {
		return "", false
	}
	return reference.TagNameOnly(named).String(), true
}

// refusal says why a RUN stays as it is, or nothing.
func (c *carrier) refusal(e env, base []string, run, file string) string {
	for _, name := range c.own {
		if _, ok := e.Get(name); ok {
			return name + " is set"
		}
		if _, _, ok := cutWord(run, name); ok {
			return "it names " + name
		}
		if slices.ContainsFunc(base, func(kv string) bool { return strings.HasPrefix(kv, name+"=") }) {
			return "the base image sets " + name
		}
	}
	for _, said := range c.said {
		if strings.Contains(file, said) {
			return "the Dockerfile has " + said
		}
	}
	if c.wins && base == nil {
		return "what the base image sets is not known"
	}
	return ""
}

// decide makes edits of the votes.
func decide(src []byte, votes map[vote]verdict) Preparation {
	var p Preparation
	byLine, images := make(map[int][]string), make(map[int]string)
	for v, verdict := range votes {
		_, ok := runAt(src, v.line)
		if !ok {
			continue // an ONBUILD of a stage before, which is not at this place
		}
		if verdict.why != "" {
			p.Left = append(p.Left, Left{v.line, v.manager, verdict.why})
			continue
		}
		if verdict.image != "" {
			images[v.line] = verdict.image
		}
		byLine[v.line] = append(byLine[v.line], v.manager)
	}
	for line, managers := range byLine {
		at, _ := runAt(src, line)
		p.Edits = append(p.Edits, Edit{At: at, Text: mountsFor(managers, images[line])})
		p.Managers = append(p.Managers, managers...)
	}
	slices.Sort(p.Managers)
	p.Managers = slices.Compact(p.Managers)
	slices.SortFunc(p.Edits, func(a, b Edit) int { return cmp.Compare(a.At, b.At) })
	slices.SortFunc(p.Left, func(a, b Left) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Manager, b.Manager))
	})
	return p
}

// mountsFor writes the mounts in the order of the table, each once: npm and
// pnpm share theirs.
func mountsFor(managers []string, image string) string {
	var b strings.Builder
	for _, c := range carriers {
		if !slices.ContainsFunc(c.managers, func(m string) bool { return slices.Contains(managers, m) }) {
			continue
		}
		secrets := c.secrets
		if c.image {
			secrets = []Secret{ImageSecret(image)}
		}
		for _, s := range secrets {
			b.WriteString(" " + s.Mount())
		}
	}
	return b.String()
}

var runWord = regexp.MustCompile(`^(\xef\xbb\xbf)?[ \t]*(?i:run)(?:[ \t\\]|` + "`" + `)`)

// runAt returns the place behind the word RUN that begins a line, from 1.
func runAt(src []byte, line int) (int, bool) {
	at := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(src[at:], '\n')
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	found := runWord.FindIndex(src[at:])
	if found == nil {
		return 0, false
	}
	return at + found[1] - 1, true
}

// mountable refuses a file whose frontend may not know secrets as variables:
// Docker's does from 1.10 on. What no comment names is the builder's own.
func mountable(src []byte, args map[string]string) error {
	n, ok, err := frontend(src, args)
	if err != nil || !ok {
		return err
	}
	if named, err := reference.ParseNormalizedNamed(n.As); err == nil && reference.Path(named) == "docker/dockerfile" {
		tagged, ok := reference.TagNameOnly(named).(reference.Tagged)
		if ok && newEnough(tagged.Tag()) {
			return nil
		}
	}
	return &Error{n.Line, fmt.Errorf("its frontend %s may not know secrets as variables (docker/dockerfile does from 1.10 on)", n.As)}
}

var frontendTag = regexp.MustCompile(`^(?:latest|labs|1(?:\.(\d{2,4})(?:\.\d+)?)?(?:-labs)?)$`)

// newEnough judges a tag of Docker's frontend. Tags that move are new.
func newEnough(tag string) bool { return frontendTag.MatchString(tag) }

// sameBuild checks that BuildKit reads the same instructions from both files,
// but for mounts of RUNs.
func sameBuild(src, edited []byte) error {
	a, err := parse(src)
	if err != nil {
		return err
	}
	b, err := parse(edited)
	if err != nil {
		return err
	}
	differ := &Error{Err: errors.New("mounts cannot be added without changing what it says")}
	if len(a.stages) != len(b.stages) || a.EscapeToken != b.EscapeToken {
		return differ
	}
	for i := range a.stages {
		if len(a.stages[i].Commands) != len(b.stages[i].Commands) {
			return differ
		}
		for j, c := range a.stages[i].Commands {
			if !sameCommand(c, b.stages[i].Commands[j]) {
				return differ
			}
		}
	}
	return nil
}

func sameCommand(a, b instructions.Command) bool {
	x, isRun := a.(*instructions.RunCommand)
	y, alsoRun := b.(*instructions.RunCommand)
	if !isRun || !alsoRun {
		return isRun == alsoRun && fmt.Sprint(a) == fmt.Sprint(b)
	}
	return x.PrependShell == y.PrependShell && slices.Equal(x.CmdLine, y.CmdLine) && slices.Equal(x.Files, y.Files) &&
		len(instructions.GetMounts(x)) <= len(instructions.GetMounts(y)) && firstLine(a.Location()) == firstLine(b.Location())
}
