package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FileName is the name of a settings file.
const FileName = "outlast.yaml"

// Options say where Load looks.
type Options struct {
	// Dir is the working directory, where relative paths of variables and
	// flags start. Empty means the process's own.
	Dir string

	// Projects are the folders that may hold the project's file: that of the
	// Dockerfile, then the build context. The first that has one counts.
	Projects []string

	// File is a settings file that is read in place of the user's and the
	// project's: the value of --config. Empty searches.
	File string

	// Env is the environment, as os.Environ returns it.
	Env []string

	// Others are variables that begin with OUTLAST_ and are no settings.
	Others []string

	// Flags override all else, the last of them first.
	Flags []Flag
}

// A Flag is a setting on the command line.
type Flag struct {
	Name  string // as the user wrote it, for messages: --listen
	Key   string // gateway.listen, registries.docker.io.mirrors
	Value string // as a settings file would have it
}

// Loaded are settings and where they came from.
type Loaded struct {
	Settings Settings
	Values   []Value   // every value in force: the table's order, then registries by name
	Files    []string  // the files that were read, the weakest first
	Warnings []Problem // what was passed over; a build goes on
}

// Load reads the settings. From weakest to strongest: defaults, the user's
// file, the project's file, the environment, flags. An error is an *Error, with
// all problems of all sources.
func Load(o Options) (*Loaded, error) {
	l := newLoader(o)
	l.readFiles()
	l.readEnv()
	l.readFlags()
	l.apply()
	if len(l.problems) > 0 {
		return nil, &Error{l.problems}
	}
	return &Loaded{Settings: l.settings, Values: l.values(), Files: l.files, Warnings: l.warnings}, nil
}

// A loader gathers what the sources say, then applies it.
type loader struct {
	options    Options
	env        map[string]string
	projectDir string // of the project's file; empty where there is none

	said     []assignment
	files    []string
	problems []Problem
	warnings []Problem

	settings Settings
	sources  map[string]Source
}

// An assignment is what one source says of one setting of the table.
type assignment struct {
	key    string
	text   string
	source Source
	place  place
}

func newLoader(o Options) *loader {
	if o.Dir == "" {
		o.Dir = "."
	}
	if dir, err := filepath.Abs(o.Dir); err == nil {
		o.Dir = dir
	}
	l := &loader{options: o, env: make(map[string]string), sources: make(map[string]Source)}
	for _, pair := range o.Env {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			l.env[name] = value
		}
	}
	l.settings.Registries = defaultRegistries()
	for host, r := range l.settings.Registries {
		l.sources[registryKey(host, "origin")] = Source{Kind: Default}
		if r.Mirrors != nil {
			l.sources[registryKey(host, "mirrors")] = Source{Kind: Default}
		}
		if r.Tokens != nil {
			l.sources[registryKey(host, "tokens")] = Source{Kind: Default}
		}
	}
	return l
}

func (l *loader) problem(s Source, key, text string) {
	l.problems = append(l.problems, Problem{s, key, text})
}

func (l *loader) warn(s Source, key, text string) {
	l.warnings = append(l.warnings, Problem{s, key, text})
}

// apply sets every row from the sources in their order. Row by row, so that a
// rule about projects sees what is in force in the rows before.
func (l *loader) apply() {
	for _, r := range table {
		at := r.at(&l.settings)
		l.initial(r, at)
		for _, a := range l.said {
			if a.key == r.key {
				l.assign(r, at, a)
			}
		}
	}
	l.anonymize()
	l.order()
}

// order refuses thresholds that cross, at the last place that set one of the
// two.
func (l *loader) order() {
	t := l.settings.Thresholds
	for _, pair := range []struct {
		upper, lower string
		crossed      bool
	}{
		{"thresholds.optimal", "thresholds.resilient", t.Optimal < t.Resilient},
		{"thresholds.resilient", "thresholds.conservative", t.Resilient < t.Conservative},
	} {
		if !pair.crossed {
			continue
		}
		key, other := pair.upper, pair.lower
		if l.sources[key].Kind == Default {
			key, other = other, key
		}
		l.problem(l.sources[key], key, fmt.Sprintf("crosses %s (%s, %v): want optimal ≥ resilient ≥ conservative",
			other, l.sources[other], l.textOf(other)))
	}
}

func (l *loader) textOf(key string) any {
	r, _ := rowOf(key)
	return r.kind.text(r.at(&l.settings))
}

func (l *loader) initial(r row, at any) {
	l.sources[r.key] = Source{Kind: Default}
	switch r.key {
	case "store.path":
		l.settings.Store.Path = l.defaultStore()
		return
	case "history.path":
		l.settings.History.Path = l.defaultHistory()
		return
	}
	if optional[r.key] || r.key == "cache.write" && l.sources["cache.registry"].Kind == ProjectFile {
		return
	}
	if err := r.kind.set(at, r.initial, place{}); err != nil {
		l.problem(Source{Kind: Default}, r.key, err.Error())
	}
}

func (l *loader) assign(r row, at any, a assignment) {
	var next Settings
	value := r.at(&next)
	if err := r.kind.set(value, a.text, a.place); err != nil {
		l.problem(a.source, r.key, err.Error())
		return
	}
	if a.source.Kind == ProjectFile && r.project != nil && r.kind.text(value) != r.kind.text(at) {
		if why := r.project(l, value); why != "" {
			l.warn(a.source, r.key, "not taken: "+why)
			return
		}
	}
	// The kind has proved the text.
	_ = r.kind.set(at, a.text, a.place)
	l.sources[r.key] = a.source
}

// home returns the user's home folder, or "".
func (l *loader) home() string {
	if h := l.env["HOME"]; filepath.IsAbs(h) {
		return h
	}
	return ""
}

// xdg returns the folder of outlast in a base folder of the XDG
// specification, which tells to ignore relative ones, or "".
func (l *loader) xdg(name, below string) string {
	if dir := l.env[name]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "outlast")
	}
	if h := l.home(); h != "" {
		return filepath.Join(h, below, "outlast")
	}
	return ""
}

func (l *loader) defaultStore() string { return l.xdg("XDG_CACHE_HOME", ".cache") }

func (l *loader) defaultHistory() string {
	return l.xdg("XDG_STATE_HOME", filepath.Join(".local", "state"))
}

// readFiles reads the file that is named, or else the user's and the
// project's.
func (l *loader) readFiles() {
	named, source := l.options.File, Source{Kind: NamedFile}
	if named == "" {
		named = l.env["OUTLAST_CONFIG"]
	}
	if named != "" {
		path, err := parsePath(named, l.shellPlace())
		if err != nil {
			l.problem(Source{}, "--config", err.Error())
			return
		}
		source.Name = l.display(path)
		l.readFile(path, source, true)
		return
	}
	if dir := l.xdg("XDG_CONFIG_HOME", ".config"); dir != "" {
		path := filepath.Join(dir, FileName)
		l.readFile(path, Source{Kind: UserFile, Name: l.display(path)}, false)
	}
	for _, dir := range l.options.Projects {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(l.options.Dir, dir)
		}
		path := filepath.Join(dir, FileName)
		if _, err := os.Lstat(path); err != nil || slices.Contains(l.files, l.display(path)) {
			continue
		}
		source := Source{Kind: ProjectFile, Name: l.display(path)}
		if !within(dir, path) {
			l.warn(source, "", "not read: it is a link that leads out of its folder; name the file with --config to use it all the same")
			return
		}
		l.projectDir = dir
		l.readFile(path, source, false)
		return
	}
}

func (l *loader) shellPlace() place { return place{dir: l.options.Dir, home: l.home()} }

// display shortens a path for people: relative below the working directory,
// with ~ below the home folder.
func (l *loader) display(path string) string {
	if rel, err := filepath.Rel(l.options.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	if h := l.home(); h != "" && h != "/" {
		if rel, err := filepath.Rel(h, path); err == nil && filepath.IsLocal(rel) {
			return filepath.Join("~", rel)
		}
	}
	return path
}
