//go:build !linux

package buildx

import (
	"context"

	"github.com/outlast-build/outlast/engine"
)

// Ground knows nothing here: daemons run in virtual machines.
func (b Builder) Ground(context.Context) engine.Ground { return engine.Ground{} }
