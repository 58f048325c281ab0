package outlast

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// cardLife is how long an assessment counts for the next build: builds that
// begin together need one look. A service that failed since would be told to
// be well.
const cardLife = 10 * time.Second

// maxCard bounds a kept assessment, in bytes.
const maxCard = 1 << 20

// assess measures the services, or takes the assessment that a build of the
// same needs made just now, unless it is to be fresh. It returns at once; the
// card comes by the channel.
func (b *build) assess(ctx context.Context, fresh bool) <-chan health.Scorecard {
	came := make(chan health.Scorecard, 1)
	if b.Survey == nil {
		came <- health.Scorecard{}
		return came
	}
	go func() {
		path := cardPath(b.Settings, b.recipe.needs)
		card, ok := readCard(path, time.Now())
		if !ok || fresh {
			card = b.Survey(ctx, b.asked())
			if ctx.Err() == nil {
				writeCard(path, card)
			}
		}
		for _, o := range card.Observations() {
			b.board.Record(o)
		}
		came <- card
	}()
	return came
}

// cardPatience is how long the assessment is waited for at most where it can
// change nothing: services that are well answer within it, and others would
// hold up for seconds a build that they are not needed for.
const cardPatience = 100 * time.Millisecond

// takeCard waits for the assessment. Where the first attempt has all in the
// store, it waits for cardPatience; a later attempt takes what came meanwhile.
func (b *build) takeCard(ctx context.Context) error {
	if b.coming == nil {
		return nil
	}
	var enough <-chan time.Time
	if len(b.past) == 0 && b.stocked() {
		enough = time.After(cardPatience)
	}
	select {
	case card := <-b.coming:
		b.know(card)
	case <-enough:
	case <-ctx.Done():
		return &fault.Error{Op: "measure the services", Kind: fault.Canceled, Err: context.Cause(ctx)}
	}
	return nil
}

// know takes the assessment, which the record has as well.
func (b *build) know(card health.Scorecard) { b.card, b.run.Card, b.coming = card, card, nil }

// lateCard takes the assessment into the record where it came meanwhile, and
// nobody had to wait for it.
func (b *build) lateCard() {
	select {
	case card := <-b.coming:
		b.know(card)
	default:
	}
}

// lookAgain measures the services once more where they made the build fail:
// whether they are well by now is the first that somebody asks.
func (b *build) lookAgain(ctx context.Context, err error) {
	if err == nil || b.Survey == nil || outcomeOf(ctx, err) != record.NoSource {
		return
	}
	card := b.Survey(ctx, b.asked())
	b.run.After = &card
}

// stocked reports whether the assessment decides nothing but how long an
// attempt may take: all that the build is known to need is in the store, and
// neither another Dockerfile nor a cache is there to choose.
func (b *build) stocked() bool {
	if b.mirror == nil || b.resilient != nil || b.Settings.Cache.Local != "" || b.Settings.Cache.Registry != "" {
		return false
	}
	known := b.cached()
	return !slices.ContainsFunc(b.recipe.needs, func(n dockerfile.Need) bool { return !known[n.Ref] })
}

// asked are the services that the build asks.
func (b *build) asked() SurveyOptions {
	return SurveyOptions{Settings: b.Settings, Needs: b.recipe.needs, Known: b.recipe.path != "", Env: b.Env}
}

// cardPath is where the assessment for these needs is kept; empty where there
// is no folder for it.
func cardPath(s config.Settings, needs []dockerfile.Need) string {
	if s.Store.Path == "" {
		return ""
	}
	sum := sha256.New()
	for _, n := range needs {
		fmt.Fprintf(sum, "%q %q %q\n", n.Kind, n.Ref, n.Host)
	}
	about, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	sum.Write(about)
	return filepath.Join(s.Store.Path, "health", hex.EncodeToString(sum.Sum(nil))+".json")
}

// readCard returns the card at path where it is young enough. A card from
// times to come is none: the clock jumped.
func readCard(path string, now time.Time) (health.Scorecard, bool) {
	var card health.Scorecard
	if path == "" {
		return card, false
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxCard {
		return card, false
	}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &card) != nil {
		return health.Scorecard{}, false
	}
	age := now.Sub(card.Taken)
	return card, age >= 0 && age < cardLife
}

// writeCard keeps a card for the next build, and drops those that are of no
// more use. What cannot be kept is measured again.
func writeCard(path string, card health.Scorecard) {
	data, err := json.Marshal(card)
	if path == "" || err != nil {
		return
	}
	dir := filepath.Dir(path)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > cardLife {
			_ = os.Remove(filepath.Join(dir, e.Name())) // the next one tries again
		}
	}
	f, err := os.CreateTemp(dir, "card-")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if closed := f.Close(); err != nil || closed != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name()) // swept up by age
	}
}
