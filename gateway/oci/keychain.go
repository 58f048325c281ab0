package oci

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/outlast-build/outlast/fault"
)

// helperTimeout bounds a credential helper, which is somebody else's program
// and may wait for a person or a network.
const helperTimeout = 10 * time.Second

// DockerLogins is the keychain of the docker command: config.json, its
// credential helpers, and podman's file beside it.
func DockerLogins(ctx context.Context, host string) (Login, error) {
	// Docker Hub's logins are saved under a name of their own.
	if canonical(host) == dockerHub {
		host = name.DefaultRegistry
	}
	registry, err := name.NewRegistry(host, name.Insecure)
	if err != nil {
		return Login{}, fmt.Errorf("read %q as a registry: %w", host, err)
	}
	type result struct {
		login Login
		err   error
	}
	done := make(chan result, 1)
	go func() {
		login, err := lookUp(registry)
		done <- result{login, err}
	}()
	select {
	case got := <-done:
		return got.login, got.err
	case <-time.After(helperTimeout):
		return Login{}, &fault.Error{Op: "ask the credential helper", Endpoint: host, Kind: fault.Timeout,
			Err: fmt.Errorf("no answer within %v", helperTimeout)}
	case <-ctx.Done():
		return Login{}, context.Cause(ctx)
	}
}

func lookUp(registry name.Registry) (Login, error) {
	auth, err := authn.DefaultKeychain.Resolve(registry)
	if err != nil {
		return Login{}, err
	}
	saved, err := auth.Authorization()
	if err != nil {
		return Login{}, err
	}
	return Login{User: saved.Username, Password: saved.Password, Refresh: saved.IdentityToken, Access: saved.RegistryToken}, nil
}
