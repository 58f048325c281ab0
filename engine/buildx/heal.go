package buildx

import (
	"cmp"
	"context"
	"regexp"
	"time"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
)

// poison is what a daemon says that has kept spoiled bytes of an earlier
// download, and goes on to say whatever the registries hold now.
var poison = regexp.MustCompile(`unexpected commit digest sha256:[0-9a-f]{64}, expected (sha256:[0-9a-f]{64})|failed commit on ref "([^"]+)": [^"]*unexpected commit size`)

// spoiled returns the content whose spoiled bytes made the build fail, or "".
func spoiled(r engine.Result) string {
	texts := make([]string, 0, len(r.Steps)+1)
	if r.Failure != nil {
		texts = append(texts, r.Failure.Message)
	}
	for _, s := range r.Steps {
		texts = append(texts, s.Error)
	}
	for _, text := range texts {
		if m := poison.FindStringSubmatch(text); m != nil {
			return cmp.Or(m[1], m[2])
		}
	}
	return ""
}

// nothing is a filter that no record of BuildKit's matches: their numbers are
// made of letters and digits.
const nothing = "id=outlast-matches-nothing"

// healLimit bounds the pruning of nothing. It waits for the daemon's collector,
// which goes through all of its content.
const healLimit = 2 * time.Minute

// healPauses are before each prune. What a failed build was downloading beside
// is let go of only after the build has ended; a prune at once was seen to leave
// a second spoiled layer behind, in one of three tries.
var healPauses = []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond}

// Heal makes the builder's daemon forget spoiled bytes of broken downloads. It
// asks for prunes that match nothing: no record of the user's goes, but the
// daemon collects what no record needs, and the spoiled bytes are such.
func (b Builder) Heal(ctx context.Context, env []string) error {
	for _, pause := range healPauses {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, err := b.ask(ctx, env, healLimit, "prune", "--force", "--filter", nothing); err != nil {
			return &fault.Error{Op: "collect the engine's garbage", Kind: fault.Engine, Err: err}
		}
	}
	return nil
}

// ask puts a question about this builder to its CLI.
func (b Builder) ask(ctx context.Context, env []string, limit time.Duration, args ...string) (string, error) {
	return b.CLI.ask(ctx, environ(env, b.Env...), limit, append(args, "--builder", b.Name)...)
}
