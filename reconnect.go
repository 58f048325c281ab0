package outlast

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outlast-build/outlast/backoff"
)

// comingBack is how long the builder that went away is preferred to the next
// one, which has none of its finished steps. A daemon that is restarted answers
// within seconds.
const comingBack = 20 * time.Second

// reconnect waits for the builder that went away, within the time for waiting,
// and takes the next one where it stays away.
func (b *build) reconnect(ctx context.Context) error {
	lost, ok := b.engine.(Returner)
	if !ok {
		return b.chooseEngine(ctx, false)
	}
	name, _, _ := strings.Cut(b.run.Builder, " (")
	b.note(fmt.Sprintf("the builder %s went away: it is waited for", name))
	for began, n := time.Now(), 1; ; n++ {
		if again, ok := lost.Returned(ctx); ok {
			b.engine = again
			b.note(fmt.Sprintf("the builder %s is back", name))
			return nil
		}
		wait, ok := b.waits.Take(backoff.Policy{}.Wait(n, b.jitter(), 0))
		if !ok || time.Since(began)+wait > comingBack {
			return b.chooseEngine(ctx, false)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
