package buildx

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
)

// Args are the arguments of `docker buildx build` as a user gave them, read
// but never changed. A value may be a path, a name or nonsense: what buildx
// refuses, buildx will say.
type Args struct {
	raw        []string
	given      map[string][]string // flag name to its values, in order
	positional []string
	unknown    []string
	insert     int // where additions go: the end, or before "--"
	open       bool
}

// ReadArgs reads arguments as buildx does. Of a flag that is not in buildx
// 0.38 nobody can know here whether it takes a value; `--new=x` is clear, and a
// bare `--new` is read as a boolean: then its value is taken for the build's
// context, unless a further argument makes clear which of them is the last.
func ReadArgs(args []string) Args {
	a := Args{raw: args, given: make(map[string][]string), insert: len(args)}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			a.insert = i
			a.positional = append(a.positional, args[i+1:]...)
			return a
		case strings.HasPrefix(arg, "--"):
			i += a.long(arg[2:], args[i+1:])
		case len(arg) > 1 && arg[0] == '-':
			i += a.shorts(arg[1:], args[i+1:])
		default:
			a.positional = append(a.positional, arg)
		}
	}
	return a
}

// long reads one `--name` or `--name=value` and returns how many of the
// arguments that follow belong to it.
func (a *Args) long(body string, rest []string) int {
	name, value, has := strings.Cut(body, "=")
	f, known := longFlag(name)
	switch {
	case !known:
		a.unknown = append(a.unknown, "--"+name)
	case has:
		a.add(f, value)
	case !f.value:
		a.add(f, "true")
	case len(rest) == 0:
		a.open = true
	default:
		a.add(f, rest[0])
		return 1
	}
	return 0
}

// shorts reads a group such as `qtapp`: booleans, then at most one flag that
// takes the remainder, or the next argument, for its value.
func (a *Args) shorts(group string, rest []string) int {
	for i := 0; i < len(group); i++ {
		f, known := shortFlag(group[i])
		value := group[i+1:]
		switch {
		case !known:
			a.unknown = append(a.unknown, "-"+string(group[i]))
			return 0
		case !f.value && strings.HasPrefix(value, "="):
			a.add(f, value[1:])
			return 0
		case !f.value:
			a.add(f, "true")
		case value != "":
			a.add(f, strings.TrimPrefix(value, "="))
			return 0
		case len(rest) == 0:
			a.open = true
			return 0
		default:
			a.add(f, rest[0])
			return 1
		}
	}
	return 0
}

func (a *Args) add(f flag, value string) { a.given[f.name] = append(a.given[f.name], value) }

// Raw returns the arguments as they were given. The caller must not change
// them.
func (a Args) Raw() []string { return a.raw }

// With returns the arguments with more of them added where they win over equal
// ones: at the end, or before "--". Where the last argument waits for a value,
// it stays without one, for buildx to say so.
func (a Args) With(more ...string) []string {
	if a.open {
		return slices.Concat(more, a.raw)
	}
	return slices.Concat(a.raw[:a.insert], more, a.raw[a.insert:])
}

// Without returns the arguments without each use of the flags named. What
// follows "--" stays.
func (a Args) Without(names ...string) []string {
	var left []string
	for i := 0; i < len(a.raw); i++ {
		if a.raw[i] == "--" {
			return append(left, a.raw[i:]...)
		}
		// What follows a flag is its value only where it waits for one.
		one := ReadArgs(a.raw[i : i+1])
		if one.open && i+1 < len(a.raw) {
			one = ReadArgs(a.raw[i : i+2])
			i++
		}
		if !slices.ContainsFunc(names, one.Has) {
			left = append(left, one.raw...)
		}
	}
	return left
}

// Context returns the build's context: a folder, an address, or "-" for
// standard input. ok is false where there is none or more than one.
func (a Args) Context() (context string, ok bool) {
	n := len(a.positional)
	if n == 0 || n > 1 && len(a.unknown) == 0 {
		return "", false
	}
	return a.positional[n-1], true
}

// Positional returns what is no flag and no flag's value, in order.
func (a Args) Positional() []string { return a.positional }

// Unknown returns the flags that are not in the table, as they were written
// but without a value.
func (a Args) Unknown() []string { return a.unknown }

// Has reports whether the flag was given, with any value.
func (a Args) Has(name string) bool { return len(a.given[name]) > 0 }

// Last returns the value of a flag whose last use wins, or "".
func (a Args) Last(name string) string {
	v := a.given[name]
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}

// All returns every value of a flag, in order.
func (a Args) All(name string) []string { return a.given[name] }

// Bool reports whether a boolean flag is on. A value that is no boolean counts
// as off; buildx will refuse it.
func (a Args) Bool(name string) bool {
	on, err := strconv.ParseBool(a.Last(name))
	return err == nil && on
}

// File returns the Dockerfile as the user named it, or "" for the context's own.
func (a Args) File() string { return a.Last("file") }

// Target returns the stage to build, or "" for the last one.
func (a Args) Target() string { return a.Last("target") }

// Builder returns what --builder says, or "".
func (a Args) Builder() string { return a.Last("builder") }

// BuildArgs returns the build arguments. One without a value takes it from the
// environment, as buildx does; where it is not set there, the argument is not.
func (a Args) BuildArgs(getenv func(string) (string, bool)) map[string]string {
	m := make(map[string]string)
	for _, arg := range a.All("build-arg") {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			value, ok = getenv(name)
		}
		if ok {
			m[name] = value
		}
	}
	return m
}

// Platforms returns the platforms to build for; none means the builder's own.
// Without the flag it is what DOCKER_DEFAULT_PLATFORM says.
func (a Args) Platforms(getenv func(string) (string, bool)) []string {
	given := a.All("platform")
	if len(given) == 0 {
		if v, ok := getenv("DOCKER_DEFAULT_PLATFORM"); ok && v != "" {
			given = []string{v}
		}
	}
	var ps []string
	for _, v := range given {
		for p := range strings.SplitSeq(v, ",") {
			if p = strings.TrimSpace(p); p != "" {
				ps = append(ps, p)
			}
		}
	}
	return ps
}

// Contexts returns the build contexts that the user named: name to source.
func (a Args) Contexts() map[string]string {
	m := make(map[string]string)
	for _, v := range a.All("build-context") {
		if name, source, ok := strings.Cut(v, "="); ok {
			m[name] = source
		}
	}
	return m
}

// Quiet reports whether only the image ID is to be shown: by -q, or by
// --progress=quiet.
func (a Args) Quiet() bool { return a.Bool("quiet") || a.Last("progress") == "quiet" }

// Progress returns the kind of display: "auto", "plain", "tty", "quiet",
// "none", "rawjson", or what else the user said. BUILDKIT_PROGRESS says it
// where the flag does not.
func (a Args) Progress(getenv func(string) (string, bool)) string {
	if a.Quiet() {
		return "quiet"
	}
	p := a.Last("progress")
	if p == "" || p == "auto" {
		if v, ok := getenv("BUILDKIT_PROGRESS"); ok && v != "" {
			return v
		}
		return "auto"
	}
	return p
}

// Call returns the method that is asked for in place of a build: "check",
// "outline", "targets"; "" for a build.
func (a Args) Call() string {
	if a.Bool("check") {
		return "check"
	}
	for _, name := range []string{"call", "print"} {
		if v := a.Last(name); v != "" && v != "build" {
			return v
		}
	}
	return ""
}

// Outputs returns what the user asked to be made of the build, as attributes
// of each --output, --push and --load.
func (a Args) Outputs() []map[string]string {
	var outs []map[string]string
	for _, v := range a.All("output") {
		outs = append(outs, attributes(v))
	}
	if a.Bool("push") {
		outs = append(outs, map[string]string{"type": "registry"})
	}
	if a.Bool("load") {
		outs = append(outs, map[string]string{"type": "docker"})
	}
	return outs
}

// Pushes reports whether the image is sent to the registries of its tags.
func (a Args) Pushes() bool {
	return slices.ContainsFunc(a.Outputs(), func(out map[string]string) bool { return out["type"] == "registry" || out["push"] == "true" })
}

// attributes reads "type=local,dest=out". A text that is only a path is what
// buildx takes it for: the folder, or for "-" a tar file on standard output.
func attributes(s string) map[string]string {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return map[string]string{}
	}
	if len(fields) == 1 && !strings.HasPrefix(s, "type=") {
		if s == "-" {
			return map[string]string{"type": "tar", "dest": "-"}
		}
		return map[string]string{"type": "local", "dest": s}
	}
	m := make(map[string]string, len(fields))
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		m[strings.ToLower(strings.TrimSpace(k))] = v
	}
	return m
}
