package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
)

// keeping is how long the end of a command may be held up by the history.
const keeping = 3 * time.Second

// keep puts a run, which is over and has no secrets, into the history. What
// goes wrong is a warning: it changes nothing in how the run ended.
func (a *app) keep(run record.Run, s config.History) {
	if !s.Keep || s.Path == "" || run.ID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keeping)
	defer cancel()
	_, err := history.Keep(ctx, s.Path, a.historyOptions(s), run)
	if err != nil {
		a.say.warning(fmt.Sprintf("this run is not kept: %v", err))
	}
}

func (a *app) historyOptions(s config.History) history.Options {
	return history.Options{MaxAge: s.Age, MaxSize: s.Size, Warn: a.say.warning}
}

// keepCheck keeps a look at the services.
func (a *app) keepCheck(k check, card health.Scorecard, strategy string, s config.History) {
	dir := "."
	if dirs := k.projects(); k.path != "" && len(dirs) > 0 {
		dir = dirs[0]
	}
	run := record.Run{ID: rand.Text(), Kind: record.KindCheck, Version: readVersion().Version, Started: card.Taken, Ended: card.Taken.Add(card.Took),
		Outcome: record.Checked, Strategy: strategy, Card: card, Context: outlast.Surroundings(a.env, dir)}
	a.keep(run.Redacted(redact.Of(a.env...).Text), s)
}
