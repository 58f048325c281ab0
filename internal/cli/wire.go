package cli

import (
	"context"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/record"
)

// program are the parts of the program.
func program() Parts {
	return Parts{
		Build: func(ctx context.Context, r BuildRequest) (record.Run, error) {
			progress := new(outlast.Progress)
			defer daemon.Announce(r.Args, r.Env, progress)()
			tracer := daemon.NewTracer(r.Args, r.Env)
			run, err := outlast.Build(ctx, outlast.Options{
				Args: r.Args, Env: r.Env, Stdin: r.Stdin, Stdout: r.Stdout, Settings: r.Settings,
				Version: readVersion().Version, Direct: r.Direct, Offline: r.Offline, Debug: r.Debug, Survey: outlast.Survey,
				Confirm: outlast.Confirm,
				Kill:    r.Kill, Chosen: r.Chosen, Emit: r.Emit, Note: r.Note, Progress: progress, Tried: tracer.Tried(),
			})
			if failed := tracer.Export(ctx, run); failed != nil && r.Note != nil {
				r.Note(failed.Error())
			}
			return run, err
		},
		Plan: func(ctx context.Context, r BuildRequest) (outlast.Preview, error) {
			return outlast.PreviewBuild(ctx, outlast.Options{Args: r.Args, Env: r.Env, Stdin: r.Stdin, Settings: r.Settings, Direct: r.Direct, Survey: outlast.Survey, Note: r.Note})
		},
		Gateway: func(ctx context.Context, r GatewayRequest) error {
			return daemon.Gateway(ctx, daemon.GatewayOptions{
				Settings: r.Settings, Ready: r.Ready, Served: r.Served, Tried: r.Tried, Warn: r.Warn,
			})
		},
		Serve: func(ctx context.Context, r ServeRequest) error {
			return daemon.Serve(ctx, daemon.ServeOptions{Settings: r.Settings, Env: r.Env, Version: readVersion().Version, Token: r.Token, Alone: r.Alone, Advice: r.Advice,
				Ready: r.Ready, Served: r.Served, Tried: r.Tried, Warn: r.Warn})
		},
		GatewayHealth: daemon.Health,
		Actions: func(ctx context.Context, r ActionsRequest) error {
			return daemon.Actions(ctx, daemon.ActionsOptions{Settings: r.Settings, Base: r.Base, Grant: r.Grant, Ready: r.Ready, Warn: r.Warn})
		},
		ActionsToken:  daemon.ActionsToken,
		BuilderCreate: func(ctx context.Context, m buildx.Mirrored) error { return m.Create(ctx) },
		Versions:      buildx.Versions,
		BuilderRemove: buildx.RemoveBuilder,
		Lock:          outlast.LockImages,
		Warm:          outlast.Warm,
		EngineStatus:  func(context.Context) (buildx.DaemonStatus, error) { return buildx.Own("").Status() },
		EngineStop:    func(ctx context.Context) (bool, error) { return buildx.Own("").Stop(ctx) },
		Check: func(ctx context.Context, r CheckRequest) (health.Scorecard, error) {
			o := outlast.SurveyOptions{Settings: r.Settings, Env: r.Env}
			if r.Path != "" {
				var err error
				if o, err = o.ReadNeeds(r.Path); err != nil {
					return health.Scorecard{}, err
				}
			}
			return outlast.Survey(ctx, o), nil
		},
		Mirrors: func(ctx context.Context, r MirrorsRequest) []health.Registry {
			return outlast.Mirrors(ctx, outlast.MirrorsOptions{Settings: r.Settings, Images: r.Images})
		},
	}
}
