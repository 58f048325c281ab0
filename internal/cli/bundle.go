package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
	"github.com/outlast-build/outlast/report"
)

// bundleFiles are the files of a bundle, and all that may stand in a folder
// that a bundle replaces.
var bundleFiles = []string{"record.json", "report.txt", "scorecard.json", "settings.yaml", "step.log", "versions.json"}

// bundleLimit bounds what is asked after a build, for the bundle alone.
const bundleLimit = 15 * time.Second

// A bundle is the folder that a person attaches to a ticket. It gets no text
// that was not redacted.
type bundle struct {
	dir    string
	clean  *redact.Redactor
	loaded *config.Loaded
	story  engine.Story
}

// bundle prepares the folder dir, or returns nil where none is wanted. A folder
// that holds anything else is refused before the build begins.
func (a *app) bundle(dir string, args []string, loaded *config.Loaded) (*bundle, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{fmt.Errorf("--bundle %s: %w", dir, err), "name a folder that is not there yet"}
	}
	for _, e := range entries {
		if !slices.Contains(bundleFiles, e.Name()) || !e.Type().IsRegular() {
			return nil, &usageError{fmt.Errorf("--bundle %s: the folder holds %s, which is no file of a bundle", dir, e.Name()),
				"name a folder that is not there yet, or is empty"}
		}
	}
	return &bundle{dir: dir, clean: redact.ForBuild(args, a.env), loaded: loaded}, nil
}

// emit hears what happens in the engine, and passes it on.
func (b *bundle) emit(next func(engine.Event)) func(engine.Event) {
	if b == nil {
		return next
	}
	return func(e engine.Event) {
		b.story.Add(e)
		next(e)
	}
}

// writeBundle puts the bundle into its place, whole or not at all. The build is over
// by now, and what goes wrong here changes nothing in how it ended.
func (a *app) writeBundle(ctx context.Context, b *bundle, run record.Run, silent bool) {
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bundleLimit)
	defer cancel()
	if err := replaceDir(b.dir, b.files(ctx, a, run)); err != nil {
		a.say.warning(fmt.Sprintf("no bundle was written: %v", err))
		return
	}
	if !silent {
		a.say.plain("bundle: " + b.dir)
	}
}

// files returns the texts of the bundle by name.
func (b *bundle) files(ctx context.Context, a *app, run record.Run) map[string]string {
	run = run.Redacted(b.clean.Text)
	details := report.Details{Versions: a.versions(ctx)}
	files := map[string]string{
		"record.json":   asJSON(run),
		"settings.yaml": b.clean.Text(b.loaded.YAML()),
		"versions.json": asJSON(details.Versions),
	}
	if i := b.story.Failing(); i >= 0 {
		step := b.story.Steps()[i]
		log := b.clean.Text(string(step.Log))
		details.Step = b.clean.Text(step.Name)
		details.Log = strings.Split(strings.TrimRight(log, "\n"), "\n")
		files["step.log"] = details.Step + "\n" + log + "\n" + b.clean.Text(step.Error) + "\n"
	}
	if card, ok := a.assess(ctx, b.loaded.Settings, run); ok {
		files["scorecard.json"] = b.clean.Text(asJSON(card))
	}
	files["report.txt"] = visible(report.Diagnostics(run, details))
	return files
}

// versions are those of this program and of the programs that builds go
// through.
func (a *app) versions(ctx context.Context) map[string]string {
	own := readVersion()
	all := map[string]string{"outlast": strings.TrimSpace(own.Version + " " + own.Revision), "go": own.Go, "platform": own.Platform, "buildkit client": own.BuildKit}
	if a.parts.Versions != nil {
		for name, v := range a.parts.Versions(ctx, a.env) {
			all[name] = v
		}
	}
	return all
}

// assess measures the services again after a failure: whether they are well by
// now says as much as that they were not.
func (a *app) assess(ctx context.Context, settings config.Settings, run record.Run) (health.Scorecard, bool) {
	if run.Outcome == record.Built || a.parts.Check == nil {
		return health.Scorecard{}, false
	}
	card, err := a.parts.Check(ctx, CheckRequest{Settings: settings, Env: a.env})
	return card, err == nil
}

func asJSON(v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "{}\n"
	}
	return string(data) + "\n"
}

// visible makes control characters of each line visible.
func visible(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

// replaceDir makes dir a folder with these files and no others, for its owner
// alone. Until it is whole it stands beside dir under another name, which goes
// where anything fails.
func replaceDir(dir string, files map[string]string) (err error) {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, ".outlast-bundle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	// What stands there is a bundle, as was seen before the build. Anything else
	// stays, and then the folder is not empty and does not go.
	for _, name := range bundleFiles {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, dir)
}
