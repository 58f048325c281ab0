package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prefix begins the name of every variable of Outlast.
const prefix = "OUTLAST_"

// A custom is a variable without the prefix that build scripts know by habit.
type custom struct {
	name, key string
	words     map[string]string // what its words are called here; nil: they are the same
}

// customs are weaker than the variables with the prefix.
var customs = []custom{
	{"CACHE_STRATEGY", "build.strategy", map[string]string{
		"gha-full": "optimal", "local-with-fallback": "resilient", "local-only": "conservative", "no-cache": "emergency", "auto": "auto"}},
	{"MAX_RETRY_ATTEMPTS", "build.attempts", nil},
	{"THRESHOLD_OPTIMAL", "thresholds.optimal", nil},
	{"THRESHOLD_RESILIENT", "thresholds.resilient", nil},
	{"THRESHOLD_CONSERVATIVE", "thresholds.conservative", nil},
	{"BUILD_TIMEOUT_OPTIMAL", "timeouts.optimal", nil},
	{"BUILD_TIMEOUT_RESILIENT", "timeouts.resilient", nil},
	{"BUILD_TIMEOUT_CONSERVATIVE", "timeouts.conservative", nil},
	{"BUILD_TIMEOUT_EMERGENCY", "timeouts.emergency", nil},
	{"HEALTH_CHECK_TIMEOUT", "probe.budget", nil},
	{"CACHE_LOCAL_PATH", "cache.local", nil},
	{"CACHE_REGISTRY_REF", "cache.registry", nil},
}

// customOf returns the custom variable of a key, or "".
func customOf(key string) string {
	for _, c := range customs {
		if c.key == key {
			return c.name
		}
	}
	return ""
}

func (l *loader) readCustoms() {
	for _, c := range customs {
		text := l.env[c.name]
		if text == "" {
			continue
		}
		s := Source{Kind: Environment, Name: c.name}
		if c.words != nil {
			word, ok := c.words[text]
			if !ok {
				l.problem(s, c.key, fmt.Sprintf("%q is not known; allowed: %s", text, strings.Join(slices.Sorted(maps.Keys(c.words)), ", ")))
				continue
			}
			text = word
		}
		l.said = append(l.said, assignment{c.key, text, s, l.shellPlace()})
	}
}

// readEnv reads a variable for each row of the table, and OUTLAST_REGISTRIES
// and OUTLAST_PROBE_CHECKS, which are the texts of their sections. An empty variable is as good as none: that
// is what a CI service makes of a value that is not set.
func (l *loader) readEnv() {
	l.readCustoms()
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
