package cli

import (
	"context"
	"errors"

	"github.com/outlast-build/outlast/record"
)

// real are the parts of the program.
func real() Parts {
	return Parts{
		Build: func(ctx context.Context, r BuildRequest) (record.Run, error) {
			return record.Run{}, errors.New("not wired")
		},
	}
}
