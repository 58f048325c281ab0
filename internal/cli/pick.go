package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/config"
)

// An ownFlag is a flag of `outlast build`, or of `outlast plan`, itself. Its name must be no flag of
// `docker buildx build`, which gets all others.
type ownFlag struct {
	name  string
	value string // what its value is called in the help; empty for a boolean
	doc   string
}

var ownFlags = []ownFlag{
	{"config", "FILE", "read settings from FILE alone"},
	{"set", "KEY=VALUE", "override a setting, as in store.size=5GiB (may be repeated)"},
	{"strategy", "NAME", "auto, optimal, resilient, conservative or emergency: how much of the outside the build relies on"},
	{"attempts", "N", "try N times at most, and again only where that can help"},
	{"no-retry", "", "try once"},
	{"deadline", "TIME", "end all attempts after TIME, as in 1h or 3600"},
	{"idle-timeout", "TIME", "end an attempt that shows no sign of life for TIME"},
	{"bundle", "DIR", "write a folder for a ticket: record, report, log of the failing step, versions, settings; no secrets"},
	{"report", "FILE", "write a report, by the ending .html, .md, .txt, .json or .env (may be repeated)"},
	{"offline", "", "build from the local store alone: no service is asked"},
	{"no-history", "", "keep no record of this build"},
	{"no-gateway", "", "let the builder ask the registries itself, as stock buildx does"},
	{"no-prepare", "", "leave RUN as it is: package managers ask their hosts themselves"},
}

// picked are the arguments of `outlast build`, taken apart.
type picked struct {
	own    map[string][]string // by name; a boolean has "true" or "false"
	others []string            // for buildx, in their order
}

// pick takes Outlast's own flags out of the arguments, wherever they stand but
// in the value of another flag or after "--".
func pick(args []string, flags []ownFlag, hint string) (picked, error) {
	p := picked{own: make(map[string][]string)}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			p.others = append(p.others, args[i:]...)
			return p, nil
		}
		f, value, has := ownFlagOf(arg, flags)
		switch {
		case f == nil:
			p.others = append(p.others, arg)
			if waits(arg) && i+1 < len(args) {
				i++
				p.others = append(p.others, args[i])
			}
		case f.value == "" && !has:
			p.own[f.name] = append(p.own[f.name], "true")
		case f.value == "" && value != "true" && value != "false":
			return p, &usageError{err: fmt.Errorf("--%s=%s: want true or false", f.name, value), hint: hint}
		case has:
			p.own[f.name] = append(p.own[f.name], value)
		case i+1 == len(args):
			return p, &usageError{err: fmt.Errorf("--%s needs a value: %s", f.name, f.value), hint: hint}
		default:
			i++
			p.own[f.name] = append(p.own[f.name], args[i])
		}
	}
	return p, nil
}

const buildHint = "see outlast build --help"

func ownFlagOf(arg string, flags []ownFlag) (f *ownFlag, value string, has bool) {
	body, ok := strings.CutPrefix(arg, "--")
	if !ok {
		return nil, "", false
	}
	name, value, has := strings.Cut(body, "=")
	i := slices.IndexFunc(flags, func(f ownFlag) bool { return f.name == name })
	if i < 0 {
		return nil, "", false
	}
	return &flags[i], value, has
}

// waits reports whether arg is a flag of buildx that takes the next argument
// for its value: then additions go before it.
func waits(arg string) bool {
	return strings.HasPrefix(arg, "-") && buildx.ReadArgs([]string{arg}).With("")[0] == ""
}

// settings are the own flags that stand for settings.
func (p picked) settings() []config.Flag {
	var flags []config.Flag
	for _, f := range []struct{ name, key string }{
		{"strategy", "build.strategy"}, {"attempts", "build.attempts"}, {"deadline", "build.deadline"}, {"idle-timeout", "build.idle"},
	} {
		if v := p.own[f.name]; len(v) > 0 {
			flags = append(flags, config.Flag{Name: "--" + f.name, Key: f.key, Value: p.last(f.name)})
		}
	}
	if p.last("no-history") == "true" {
		flags = append(flags, config.Flag{Name: "--no-history", Key: "history.keep", Value: "false"})
	}
	if p.last("no-retry") == "true" {
		flags = append(flags, config.Flag{Name: "--no-retry", Key: "build.attempts", Value: "1"})
	}
	return flags
}

// last returns the value of an own flag, or "".
func (p picked) last(name string) string {
	if v := p.own[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}
