// Package daemon wires the parts that go on running: servers with what they
// serve. It decides nothing and speaks to nobody: what there is to say, it
// hands to its caller.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
)

// GatewayOptions are what Gateway is told beyond its settings. Its functions
// may be called at once from many places; each may be nil.
type GatewayOptions struct {
	Settings config.Settings
	Ready    func(address string) // called once, when clients can connect: HOST:PORT
	Served   func(gateway.Served) // told of each answer
	Tried    func(fetch.Try)      // told of each request to an upstream
	Warn     func(string)         // told what does not work and does no harm
}

// Gateway serves on the address that the settings name until ctx ends, which
// is no error; requests under way are answered first, within httpx.Grace. An
// address that cannot be had is a fault.Config, and errors.Is tells
// syscall.EADDRINUSE.
func Gateway(ctx context.Context, o GatewayOptions) error {
	listener, err := listen(o.Settings.Gateway.Listen)
	if err != nil {
		return err
	}
	// What is under way outlives ctx: Serve waits for it.
	g, err := outlast.NewGateway(context.WithoutCancel(ctx), outlast.GatewayOptions{
		Settings: o.Settings, OnTry: o.Tried, OnServe: o.Served, Warn: o.Warn,
		Packages: outlast.FindPackages(ctx, o.Settings, nil, nil),
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if o.Ready != nil {
		o.Ready(listener.Addr().String())
	}
	err = httpx.Serve(ctx, listener, g, nil)
	if closed := g.Close(); closed != nil && o.Warn != nil {
		o.Warn(fmt.Sprintf("the local store was not closed: %v", closed))
	}
	return err
}

// bare returns the system's own error: messages name the address already.
func bare(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
