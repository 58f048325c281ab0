package config

import (
	"maps"
	"slices"
	"strings"
)

// prefix begins the name of every variable of Outlast.
const prefix = "OUTLAST_"

// readEnv reads a variable for each row of the table, and OUTLAST_REGISTRIES
// and OUTLAST_PROBE_CHECKS, which are the texts of their sections. An empty variable is as good as none: that
// is what a CI service makes of a value that is not set.
func (l *loader) readEnv() {
	names := []string{"OUTLAST_CONFIG", variable("registries"), variable("probe.checks")}
	for _, r := range table {
		name := variable(r.key)
		names = append(names, name)
		if text := l.env[name]; text != "" {
			l.said = append(l.said, assignment{r.key, text, Source{Kind: Environment, Name: name}, l.shellPlace()})
		}
	}
	for _, key := range []string{"registries", "probe.checks"} {
		if text := l.env[variable(key)]; text != "" {
			l.readSection(key, text, Source{Kind: Environment, Name: variable(key)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if strings.HasPrefix(name, prefix) && !slices.Contains(names, name) && !slices.Contains(l.options.Others, name) {
			l.warn(Source{Kind: Environment, Name: name}, "", unknown("setting", name, names))
		}
	}
}

// readSection reads text as the value of a key that has keys below it.
func (l *loader) readSection(key, text string, s Source) {
	if len(text) > maxFile {
		l.problem(s, key, "is larger than "+formatSize(maxFile))
		return
	}
	root, err := parse([]byte(text))
	if err != nil {
		l.problem(s, key, err.text)
		return
	}
	if root == nil {
		return
	}
	r := reader{l, s, l.shellPlace()}
	r.below(key, root)
}

// readFlags reads the settings on the command line.
func (l *loader) readFlags() {
	for _, f := range l.options.Flags {
		s := Source{Kind: CommandLine, Name: f.Name}
		if _, ok := rowOf(f.Key); ok {
			l.said = append(l.said, assignment{f.Key, f.Value, s, l.shellPlace()})
			continue
		}
		if strings.HasPrefix(f.Key, "registries.") || f.Key == "probe.checks" {
			l.readSection(f.Key, f.Value, s)
			continue
		}
		l.problem(s, f.Key, unknown("key", f.Key, append(Keys(), "probe.checks", "registries.HOST.FIELD")))
	}
}

// Keys lists the keys of the table: every setting but the registries.
func Keys() []string {
	keys := make([]string, len(table))
	for i, r := range table {
		keys[i] = r.key
	}
	return keys
}
