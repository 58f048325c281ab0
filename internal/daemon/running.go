package daemon

import (
	"crypto/rand"
	"path/filepath"
	"strings"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/internal/live"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
)

// RunningDir is where the builds of a user tell of themselves while they run:
// outlast/running in XDG_STATE_HOME, else in ~/.local/state. It is empty where
// neither is known.
func RunningDir(env []string) string {
	state, home := "", ""
	for _, e := range env {
		switch key, value, _ := strings.Cut(e, "="); key {
		case "XDG_STATE_HOME":
			state = value
		case "HOME":
			home = value
		}
	}
	switch {
	case filepath.IsAbs(state):
		return filepath.Join(state, "outlast", "running")
	case filepath.IsAbs(home):
		return filepath.Join(home, ".local", "state", "outlast", "running")
	}
	return ""
}

// Announce lets the dashboard look at a build with these arguments in this
// environment while it runs, until stop is called. Where that is not possible,
// nobody sees it run, and nothing else changes.
func Announce(args, env []string, p *outlast.Progress) (stop func()) {
	dir := RunningDir(env)
	if dir == "" {
		return func() {}
	}
	secrets := redact.ForBuild(args, env)
	stop, err := live.Announce(dir, rand.Text()[:10], func() record.Run { return p.Snapshot().Redacted(secrets.Text) })
	if err != nil {
		return func() {}
	}
	return stop
}
