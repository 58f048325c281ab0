package outlast

import (
	"slices"
	"sync"
	"time"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// A Progress is a build while it runs, for whoever looks on. The zero value is
// ready for one build, and its methods may be called at once from many places.
type Progress struct {
	mu      sync.Mutex
	run     record.Run      // what is past
	attempt *record.Attempt // under way; nil: none
	story   engine.Story    // of the attempt
}

// Snapshot is the record of the build as far as it came: it ends now, and an
// attempt under way is its last. It is not redacted.
func (p *Progress) Snapshot() record.Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, now := p.run, time.Now()
	r.Ended = now
	r.Attempts = slices.Clone(r.Attempts)
	if p.attempt == nil {
		return r
	}
	a := *p.attempt
	steps := p.story.Steps()
	a.Ended, a.Steps, a.Ran = now, len(steps), recorded(steps)
	for _, s := range steps {
		if s.Cached {
			a.Cached++
		}
	}
	r.Attempts = append(r.Attempts, a)
	return r
}

// show takes what is past of a run. A nil Progress takes nothing, here and in
// the others.
func (p *Progress) show(r *record.Run, l *record.Ledger) {
	if p == nil {
		return
	}
	shown := *r
	l.Write(&shown)
	shown.Attempts = slices.Clone(r.Attempts)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run, p.attempt = shown, nil
}

func (p *Progress) begin(chosen plan.Plan, started time.Time, waited time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempt = &record.Attempt{Started: started, Strategy: string(chosen.Strategy), Waited: waited, Caches: tiers(chosen.Caches)}
	p.story = engine.Story{}
}

func (p *Progress) add(e engine.Event) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.story.Add(e)
}
