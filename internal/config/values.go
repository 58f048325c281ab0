package config

import "fmt"

// values lists what is in force.
func (l *loader) values() []Value {
	var values []Value
	for _, r := range table {
		values = append(values, Value{r.key, r.kind.text(r.at(&l.settings)), l.sources[r.key]})
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

// String returns the mirror in a line, as a settings file has it.
func (m Mirror) String() string {
	text := "{url: " + m.URL
	if m.Only != "" {
		text += ", only: " + m.Only
	}
	if m.Tags {
		text += ", tags: true"
	}
	if m.Insecure {
		text += ", insecure: true"
	}
	return fmt.Sprint(text, "}")
}
