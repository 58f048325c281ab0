package cli

import (
	"context"
	"io"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// Parts are what the commands set going. Tests put others in their place.
type Parts struct {
	// Build runs one build. The error is nil exactly where the Outcome of the
	// Run is record.Built.
	Build func(context.Context, BuildRequest) (record.Run, error)

	// Plan says what Build would do first. Of the request, what is told while
	// a build runs is not.
	Plan func(context.Context, BuildRequest) (outlast.Preview, error)

	// Gateway serves until ctx ends, which is no error. It calls Ready once,
	// when clients can connect.
	Gateway func(context.Context, GatewayRequest) error

	// Serve serves the gateway and the dashboard until ctx ends, which is no
	// error. It calls Ready once, when clients can connect.
	Serve func(context.Context, ServeRequest) error

	// GatewayHealth asks the gateway that listens on an address of this machine.
	GatewayHealth func(ctx context.Context, address string) error

	// Actions serves the cache of GitHub Actions until ctx ends, which is no
	// error. It calls Ready once, when clients can connect. ActionsToken makes
	// a token for it.
	Actions      func(context.Context, ActionsRequest) error
	ActionsToken func(config.Settings, actcache.Grant) (string, error)

	// BuilderCreate and BuilderRemove make and remove a builder of buildx.
	BuilderCreate func(context.Context, buildx.Mirrored) error
	BuilderRemove func(ctx context.Context, env []string, name string) error

	// Check measures the services, once. The error is that of the Dockerfile.
	Check func(context.Context, CheckRequest) (health.Scorecard, error)

	// Mirrors looks at every mirror of the settings.
	Mirrors func(context.Context, MirrorsRequest) []health.Registry

	// After is the clock of what is done again and again. Nil means time.After.
	After func(time.Duration) <-chan time.Time

	// Lock pins what a build needs, and Warm fetches it, as in package outlast.
	Lock func(context.Context, outlast.Target, outlast.LockMode) (outlast.Locking, error)
	Warm func(context.Context, outlast.Target, func(fetched int64)) (outlast.Warming, error)

	// Versions tells the versions of the programs that builds go through, by
	// name. Nil: none.
	Versions func(ctx context.Context, env []string) map[string]string

	// EngineStatus tells of the engine that Outlast started, and EngineStop
	// stops it and reports whether there was one.
	EngineStatus func(context.Context) (buildx.DaemonStatus, error)
	EngineStop   func(context.Context) (bool, error)
}

// A BuildRequest is one build.
type BuildRequest struct {
	Args     []string // of `docker buildx build`
	Env      []string
	Stdin    io.Reader
	Stdout   io.Writer
	Settings config.Settings
	Direct   bool                      // no gateway
	Offline  bool                      // no service is asked
	Debug    bool                      // tell all reasons
	Kill     <-chan struct{}           // closed: what does not stop is killed
	Chosen   func(name, driver string) // told of the builder, before the first event
	Emit     func(engine.Event)        // told what happens in the engine, never after the build's end
	Note     func(string)              // told, in a line, what was done about a failure
}

// A CheckRequest is one look at the services.
type CheckRequest struct {
	Path     string // a folder or a Dockerfile, the needs of which decide; empty: all services do
	Env      []string
	Settings config.Settings
}

// A MirrorsRequest is a look at the mirrors.
type MirrorsRequest struct {
	Settings config.Settings
	Images   []string // in full, by which they are compared; nil: those of the settings
}

// An ActionsRequest is a cache service to serve.
type ActionsRequest struct {
	Settings config.Settings
	Base     string                      // where clients reach it; empty: where each of them asked
	Grant    actcache.Grant              // what the first token allows
	Ready    func(address, token string) // HOST:PORT, with the port that was taken
	Warn     func(string)                // told what does not work and does no harm, from many places at once
}

// A GatewayRequest is a gateway to serve. Its functions may be called at once
// from many places.
type GatewayRequest struct {
	Settings config.Settings
	Ready    func(address string) // HOST:PORT, with the port that was taken
	Served   func(gateway.Served) // told of each answer
	Tried    func(fetch.Try)      // told of each request to an upstream
	Warn     func(string)         // told what does not work and does no harm
}

// A ServeRequest is a gateway and a dashboard to serve. Its functions may be
// called at once from many places.
type ServeRequest struct {
	Settings config.Settings
	Env      []string
	Token    string                                      // that clients of the dashboard have to know; empty: nobody is asked
	Alone    bool                                        // no gateway, and no cache of GitHub Actions
	Advice   func(stats.Tally) ([]report.Advice, string) // what sums speak for, or why nothing is said
	Ready    func(daemon.Addresses)                      // with the ports that were taken
	Served   func(gateway.Served)                        // told of each answer of the gateway
	Tried    func(fetch.Try)                             // told of each request to an upstream
	Warn     func(string)                                // told what does not work and does no harm
}
