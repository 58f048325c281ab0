package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
)

// ActionsOptions are what Actions is told beyond its settings.
type ActionsOptions struct {
	Settings config.Settings
	Base     string                      // where clients reach it; empty: where each of them asked
	Grant    actcache.Grant              // what the token allows that Ready is told
	Ready    func(address, token string) // called once, when clients can connect: HOST:PORT
	Warn     func(string)                // told what does not work and does no harm; may be nil, and called from many places at once
}

// Actions serves the cache of GitHub Actions, alone, on the address that the
// settings name until ctx ends, which is no error; requests under way are
// answered first, within httpx.Grace. Its errors are those of Gateway.
func Actions(ctx context.Context, o ActionsOptions) error {
	token, err := ActionsToken(o.Settings, o.Grant)
	if err != nil {
		return err
	}
	s, err := openActions(o)
	if err != nil {
		return err
	}
	o.Ready(s.address(), token)
	return s.serve(ctx, s.Service)
}

// actions is a cache service that listens.
type actions struct {
	*actcache.Service
	listener net.Listener
	store    *cas.Store
}

// openActions listens. The caller ends it with serve, or with close.
func openActions(o ActionsOptions) (*actions, error) {
	key, err := actionsKey(o.Settings)
	if err != nil {
		return nil, err
	}
	listener, err := listen(o.Settings.Actions.Listen)
	if err != nil {
		return nil, err
	}
	store, err := cas.Open(outlast.ActionsStore(o.Settings), o.Settings.Actions.Size)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &actions{&actcache.Service{Store: store, Key: key, Base: o.Base, Warn: o.Warn}, listener, store}, nil
}

func (a *actions) address() string { return a.listener.Addr().String() }

// serve answers by h, which leads to the service, until ctx ends.
func (a *actions) serve(ctx context.Context, h http.Handler) error {
	defer func() { _ = a.store.Close() }() // nothing is written by it
	return errors.Join(httpx.Serve(ctx, a.listener, h, nil), a.Service.Close(context.WithoutCancel(ctx)))
}

func (a *actions) close() error {
	return errors.Join(a.listener.Close(), a.store.Close())
}

// ActionsToken returns a token for the service that Actions serves on this
// machine, now or later.
func ActionsToken(s config.Settings, g actcache.Grant) (string, error) {
	key, err := actionsKey(s)
	if err != nil {
		return "", err
	}
	token, err := key.Token(g, time.Now())
	if err != nil {
		return "", &fault.Error{Kind: fault.Config, Err: err}
	}
	return token, nil
}

// actionsKey reads the key of this machine's service, and makes it where there
// is none. It stands in the local store, which is this user's alone.
func actionsKey(s config.Settings) (actcache.Key, error) {
	if s.Store.Path == "" {
		return actcache.Key{}, &fault.Error{Op: "read key", Kind: fault.Config, Err: errors.New("neither HOME nor XDG_CACHE_HOME says where the local store could be")}
	}
	path := filepath.Join(s.Store.Path, "actions.key")
	if err := os.MkdirAll(s.Store.Path, 0o700); err != nil {
		return actcache.Key{}, &fault.Error{Op: "make key", Kind: fault.Resource, Err: err}
	}
	made := actcache.NewKey()
	// The name is given to a file that is whole already: another process that
	// does the same meanwhile has made the key.
	temp, err := os.CreateTemp(s.Store.Path, "actions.key-")
	if err == nil {
		defer os.Remove(temp.Name())
		_, err = temp.WriteString(hex.EncodeToString(made[:]) + "\n")
		err = errors.Join(err, temp.Close())
	}
	if err == nil {
		if err = os.Link(temp.Name(), path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	data, readErr := os.ReadFile(path)
	if readErr != nil {
		return actcache.Key{}, &fault.Error{Op: "read key", Kind: fault.Resource, Err: errors.Join(err, readErr)}
	}
	var key actcache.Key
	raw, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(raw) != len(key) {
		return actcache.Key{}, &fault.Error{Op: "read key", Kind: fault.Config, Err: fmt.Errorf("%s holds no key: remove it, and a new one is made", path)}
	}
	copy(key[:], raw)
	return key, nil
}
