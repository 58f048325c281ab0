package buildx

import (
	"context"
	"time"

	"github.com/moby/buildkit/client"
)

// answers reports whether a buildkitd at the address does what it is asked, and
// its version.
func answers(ctx context.Context, address string) (version string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := client.New(ctx, address)
	if err != nil {
		return "", false
	}
	defer c.Close()
	workers, err := c.ListWorkers(ctx)
	if err != nil || len(workers) == 0 {
		return "", false
	}
	return workers[0].BuildkitVersion.Version, true
}
