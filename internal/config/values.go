package config

import (
	"fmt"
	"slices"
	"strings"
)

// values lists what is in force.
func (l *loader) values() []Value {
	var values []Value
	for _, r := range table {
		if optional[r.key] && l.sources[r.key].Kind == Default {
			continue
		}
		values = append(values, Value{r.key, r.kind.text(r.at(&l.settings)), l.sources[r.key]})
	}
	if source, ok := l.sources["probe.checks"]; ok {
		// Beside its likes: a section is written once.
		last := len(values)
		for i, v := range values {
			if strings.HasPrefix(v.Key, "probe.") {
				last = i + 1
			}
		}
		values = slices.Insert(values, last, Value{"probe.checks", l.settings.Probe.Checks, source})
	}
	for _, host := range l.settings.hosts() {
		reg := l.settings.Registries[host]
		for _, f := range []struct {
			name  string
			value any
		}{
			{"origin", reg.Origin},
			{"mirrors", reg.Mirrors},
			{"insecure", reg.Insecure},
			{"tokens", reg.Tokens},
		} {
			key := registryKey(host, f.name)
			if source, ok := l.sources[key]; ok {
				values = append(values, Value{key, f.value, source})
			}
		}
	}
	return values
}

// Lines returns the value as a settings file has it: one line, or one for each
// entry of a list. There is always a line.
func (v Value) Lines() []string {
	var lines []string
	switch list := v.Value.(type) {
	case []Mirror:
		for _, m := range list {
			lines = append(lines, m.String())
		}
	case []Check:
		for _, c := range list {
			lines = append(lines, c.String())
		}
	case []string:
		lines = append(lines, list...)
	default:
		return []string{fmt.Sprint(v.Value)}
	}
	if len(lines) == 0 {
		return []string{"[]"}
	}
	return lines
}

// String returns the mirror in a line, as a settings file has it.
func (m Mirror) String() string {
	text := "{url: " + quoted(m.URL)
	if m.Only != "" {
		text += ", only: " + m.Only
	}
	if m.Tags {
		text += ", tags: true"
	}
	if m.Insecure {
		text += ", insecure: true"
	}
	return text + "}"
}

// YAML returns the values in force as a settings file, with where each came
// from in a comment. Load reads the same from it.
func (l *Loaded) YAML() string {
	var b strings.Builder
	open := ""
	for _, v := range l.Values {
		section, field, _ := cutLast(v.Key, ".")
		if section != open {
			l.openSection(&b, open, section)
			open = section
		}
		l.writeValue(&b, strings.Repeat("  ", len(sectionPath(section))), field, v)
	}
	return b.String()
}

// openSection writes the keys above a section that do not stand above the one
// before it.
func (l *Loaded) openSection(b *strings.Builder, before, section string) {
	open := sectionPath(before)
	for i, key := range sectionPath(section) {
		if i < len(open) && open[i] == key {
			continue
		}
		open = nil
		fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", i), quoted(key))
	}
}

// sectionPath takes a section apart. The host of a registry is one key.
func sectionPath(section string) []string {
	if host, ok := strings.CutPrefix(section, "registries."); ok {
		return []string{"registries", host}
	}
	return strings.Split(section, ".")
}

func (l *Loaded) writeValue(b *strings.Builder, indent, field string, v Value) {
	list := true
	switch entries := v.Value.(type) {
	case []Mirror:
		list = len(entries) > 0
	case []Check:
		list = len(entries) > 0
	case []string:
		list = len(entries) > 0
	case string:
		fmt.Fprintf(b, "%s%s: %s # %s\n", indent, field, quoted(entries), v.Source)
		return
	default:
		list = false
	}
	lines := v.Lines()
	if !list {
		fmt.Fprintf(b, "%s%s: %s # %s\n", indent, field, lines[0], v.Source)
		return
	}
	fmt.Fprintf(b, "%s%s: # %s\n", indent, field, v.Source)
	_, words := v.Value.([]string)
	for _, line := range lines {
		if words {
			line = quoted(line)
		}
		fmt.Fprintf(b, "%s  - %s\n", indent, line)
	}
}

// quoted writes a text so that YAML reads it as that text: as it is where it
// has nothing but what stands in paths and addresses.
func quoted(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-~", r))
	})
	if first := s + " "; plain && first[0] != '-' && first[0] != '~' && first[0] != '.' {
		return s
	}
	if _, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(rest, " #\"'{}[],&*\\") && !strings.HasSuffix(s, ":") {
		return s
	}
	return doubleQuoted(s)
}

func doubleQuoted(s string) string {
	return "\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "\""
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

// A Description tells of one setting, for help and documentation.
type Description struct {
	Key      string // registries.HOST.mirrors[].url for what stands in lists
	Kind     string
	Default  string // as a file would have it; empty where there is none
	Variable string // the environment variable
	Custom   string // the variable that build scripts know it by; empty where there is none
	Allowed  string
	Doc      string
}

// Describe tells of every setting: the table in its order, then registries.
func Describe() []Description {
	var all []Description
	for _, r := range table {
		initial := r.initial
		if r.key == "store.path" {
			initial = "~/.cache/outlast"
		}
		all = append(all, Description{r.key, r.kind.name, initial, variable(r.key), customOf(r.key), r.kind.allowed, r.doc})
	}
	for _, f := range registryFields {
		all = append(all, Description{"registries.HOST." + f.name, f.kind, f.initial, "OUTLAST_REGISTRIES", "", f.allowed, f.doc})
	}
	for _, f := range mirrorFields {
		all = append(all, Description{"registries.HOST.mirrors[]." + f.name, f.kind, f.initial, "OUTLAST_REGISTRIES", "", f.allowed, f.doc})
	}
	for _, f := range checkDescriptions() {
		all = append(all, Description{"probe.checks[]." + f.name, f.kind, f.initial, variable("probe.checks"), "", f.allowed, f.doc})
	}
	return all
}
