package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// env is what variables stand for at one place of a Dockerfile. It is a
// shell.EnvGetter.
type env struct {
	values map[string]string
	unset  map[string][]string // variables without a value that a variable's own value was made of
}

func newEnv() env { return env{map[string]string{}, map[string][]string{}} }

func (e env) clone() env { return env{maps.Clone(e.values), maps.Clone(e.unset)} }

// Get implements shell.EnvGetter.
func (e env) Get(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

// Keys implements shell.EnvGetter.
func (e env) Keys() []string { return slices.Sorted(maps.Keys(e.values)) }

func (e env) set(name, value string, unset []string) {
	e.values[name] = value
	delete(e.unset, name)
	if len(unset) > 0 {
		e.unset[name] = unset
	}
}

// expand puts variables into word. It also names those that have no value, in
// word itself and in what its variables were made of.
func (e env) expand(lex *shell.Lex, word string) (string, []string, error) {
	if !utf8.ValidString(word) || strings.Contains(word, "\x00") {
		return word, nil, fmt.Errorf("%q is not text", word) // BuildKit's lexer would write to stderr
	}
	result, err := lex.ProcessWordWithMatches(word, e)
	unset := make(map[string]bool)
	for name := range result.Unmatched {
		unset[name] = !hasDefault(word, name)
	}
	for name := range result.Matched {
		for _, n := range e.unset[name] {
			unset[n] = true
		}
	}
	maps.DeleteFunc(unset, func(_ string, missing bool) bool { return !missing })
	return result.Result, slices.Sorted(maps.Keys(unset)), err
}

// hasDefault reports whether word says everywhere what to do where name has no
// value: ${name:-alpine}, ${name:+:$name}.
func hasDefault(word, name string) bool {
	for at := 0; name != ""; {
		i := strings.Index(word[at:], name)
		if i < 0 {
			return true
		}
		before, after := word[:at+i], word[at+i+len(name):]
		at += i + len(name)
		bare := strings.HasSuffix(before, "$") && (after == "" || !isNameByte(after[0]))
		braced := strings.HasSuffix(before, "${") && after != "" && strings.IndexByte("}#%/", after[0]) >= 0
		guarded := strings.Contains(before, "${"+name+":+") || strings.Contains(before, "${"+name+"+")
		if (bare || braced) && !guarded {
			return false
		}
	}
	return true
}

func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// globalArgs returns what may stand in a FROM: the platform arguments, and the
// ARGs before the first FROM, each overridden by --build-arg.
func globalArgs(f file, o Options, build, target ocispecs.Platform, lex *shell.Lex) (env, error) {
	e := newEnv()
	stage := o.Target
	if stage == "" {
		stage = f.stages[len(f.stages)-1].Name
	}
	if stage == "" {
		stage = "default"
	}
	for _, kv := range [...][2]string{
		{"BUILDPLATFORM", platforms.Format(build)},
		{"BUILDOS", build.OS},
		{"BUILDOSVERSION", build.OSVersion},
		{"BUILDARCH", build.Architecture},
		{"BUILDVARIANT", build.Variant},
		{"TARGETPLATFORM", platforms.FormatAll(target)},
		{"TARGETOS", target.OS},
		{"TARGETOSVERSION", target.OSVersion},
		{"TARGETARCH", target.Architecture},
		{"TARGETVARIANT", target.Variant},
		{"TARGETSTAGE", stage},
	} {
		v := kv[1]
		if given, ok := o.Args[kv[0]]; ok {
			v = given
		}
		e.set(kv[0], v, nil)
	}
	for _, cmd := range f.args {
		for _, arg := range cmd.Args {
			if given, ok := o.Args[arg.Key]; ok {
				e.set(arg.Key, given, nil)
				continue
			}
			if arg.Value == nil {
				continue
			}
			v, unset, err := e.expand(lex, *arg.Value)
			if err != nil {
				return env{}, located(err, firstLine(cmd.Location()))
			}
			e.set(arg.Key, v, unset)
		}
	}
	return e, nil
}

// define adds what ARG and ENV define in a stage. An expansion that only the
// base image's environment could finish leaves the variable marked as unset.
func (e env) define(cmd instructions.Command, o Options, global env, lex *shell.Lex) {
	switch c := cmd.(type) {
	case *instructions.EnvCommand:
		before := e.clone()
		for _, kv := range c.Env {
			key, _, err := before.expand(lex, kv.Key)
			if err != nil {
				continue
			}
			v, unset, err := before.expand(lex, kv.Value)
			if err != nil {
				unset = append(unset, key)
			}
			e.set(key, v, unset)
		}
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			if given, ok := o.Args[arg.Key]; ok {
				e.set(arg.Key, given, nil)
				continue
			}
			if arg.Value == nil {
				if v, ok := global.Get(arg.Key); ok {
					e.set(arg.Key, v, global.unset[arg.Key])
				}
				continue
			}
			v, unset, err := e.expand(lex, *arg.Value)
			if err != nil {
				unset = append(unset, arg.Key)
			}
			e.set(arg.Key, v, unset)
		}
	}
}

// unsetError says which variable has no value, and how to give it one.
func unsetError(what, word string, unset []string) error {
	name := unset[0]
	return fmt.Errorf("%s %s: %s no value: give --build-arg %s=…, or a default before the first FROM (ARG %s=…)",
		what, word, has(unset), name, name)
}

func has(names []string) string {
	if len(names) == 1 {
		return names[0] + " has"
	}
	return strings.Join(names, ", ") + " have"
}
