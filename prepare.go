package outlast

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/gateway/gomod"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/gateway/pypi"
)

// A Sharer is an engine that knows whether the RUNs of a build with --network
// of this value are in this machine's network, where the gateway listens, and
// if not, why. Others are.
type Sharer interface {
	Shares(network string) (ok bool, why string)
}

// envLimit bounds how long the base images are asked what they set. Whoever is
// not known by then has steps that are left alone.
const envLimit = 5 * time.Second

// prepare leads the package managers in RUN through the gateway: it puts a copy
// of the Dockerfile in place of the user's whose RUNs mount their settings. What
// the images of unknown set cannot be asked. What stands in the way costs a
// note, and never the build.
func (b *build) prepare(ctx context.Context, rec recipe, unknown []string, req *engine.Request) {
	if !b.Settings.Packages.Prepare || b.mirror == nil || rec.text == nil {
		return
	}
	managers := b.carried(rec)
	for _, left := range b.projects.leave(managers) {
		b.note(fmt.Sprintf("%s in RUN: not through the gateway: %s", left.manager, left.why))
		managers = slices.DeleteFunc(managers, func(m string) bool { return m == left.manager })
	}
	if len(managers) == 0 {
		return
	}
	if ok, why := b.shares(); !ok {
		b.note(fmt.Sprintf("%s in RUN: not through the gateway: %s", strings.Join(managers, ", "), why))
		return
	}
	args := b.args()
	repositories := b.repositories(ctx, rec, managers, unknown)
	p, err := dockerfile.Prepare(rec.text, dockerfile.PrepareOptions{
		Options: dockerfile.Options{Target: args.Target(), Args: args.BuildArgs(b.getenv), Platforms: args.Platforms(b.getenv),
			Contexts: slices.Sorted(maps.Keys(args.Contexts()))},
		Managers: managers, Env: b.mirror.env(ctx, rec, unknown), Lists: known(repositories),
	})
	if err != nil {
		b.note(fmt.Sprintf("%s in RUN: not through the gateway: %v", strings.Join(managers, ", "), err))
		return
	}
	for _, l := range p.Left {
		b.note(fmt.Sprintf("line %d: %s keeps its own settings: %s", l.Line, l.Manager, l.Why))
	}
	if len(p.Edits) == 0 {
		return
	}
	req.Text = dockerfile.Apply(rec.text, p.Edits)
	for _, e := range p.Edits {
		req.Added = append(req.Added, e.Text)
	}
	req.Secrets = b.mirror.secrets(b.proxied())
	for image, list := range repositories {
		req.Secrets[dockerfile.ImageSecret(image).ID] = list
	}
}

// managers are the package managers that RUNs of the build may call.
func (b *build) managers() map[string]bool {
	all := make(map[string]bool)
	add := func(rec recipe) {
		for _, n := range rec.needs {
			if n.Kind == dockerfile.Packages {
				all[n.Ref] = true
			}
		}
	}
	add(b.recipe)
	if b.resilient != nil {
		add(*b.resilient)
	}
	return all
}

// carried lists the managers in RUNs that the gateway has packages for, sorted.
func (b *build) carried(rec recipe) []string {
	var all []string
	for _, n := range rec.needs {
		if n.Kind == dockerfile.Packages && slices.Contains(dockerfile.Carried(), n.Ref) && b.mirror.Serves(n.Ref) && !slices.Contains(all, n.Ref) {
			all = append(all, n.Ref)
		}
	}
	slices.Sort(all)
	return all
}

func (b *build) shares() (bool, string) {
	s, ok := b.engine.(Sharer)
	if !ok {
		return true, ""
	}
	return s.Shares(b.args().Last("network"))
}

// proxied reports whether the user gives the RUNs a proxy for plain HTTP.
func (b *build) proxied() bool {
	given := b.args().BuildArgs(b.getenv)
	return given["http_proxy"] != "" || given["HTTP_PROXY"] != "" || dockerProxies(b.getenv)
}

// secrets are the settings of all package managers, by the id of their secret.
// All are given to every build: BuildKit sets the variable of a secret that is
// missing to nothing.
func (s *serving) secrets(proxied bool) map[string][]byte {
	values := map[string]string{
		"outlast-goproxy":   "http://" + s.address + strings.TrimSuffix(gomod.Prefix, "/") + s.online("|direct", ""),
		"outlast-apt":       s.aptConf(proxied),
		"outlast-npm":       "registry=http://" + s.address + npm.Kept + "\nreplace-registry-host=" + s.npmHost + "\nfetch-retries=" + s.online("4", "0") + "\nfetch-retry-mintimeout=1000\n",
		"outlast-yarn":      "http://" + s.address + npm.Prefix,
		"outlast-yarn-http": "127.0.0.1",
		"outlast-uv":        "http://" + s.address + pypi.Index,
		"outlast-pip":       "[global]\nindex-url = http://" + s.address + pypi.Index + "\nretries = " + s.online("8", "0") + "\n",
	}
	for _, one := range dockerfile.Secrets() {
		if one.File != "" {
			values[one.ID+"-config"] = one.File
		}
	}
	secrets := make(map[string][]byte, len(values))
	for id, v := range values {
		secrets[id] = []byte(v)
	}
	return secrets
}

// online is one of two values. A build that is offline goes nowhere else, and
// its gateway gives the same answer again. Otherwise go itself may ask a
// module's host: the bar, unlike a comma, lets any failure fall through.
func (s *serving) online(yes, no string) string {
	if s.offline {
		return no
	}
	return yes
}

// aptConf is a configuration of apt, which reads it before all others. An index
// that cannot be had fails the update, and not an install in a later step.
func (s *serving) aptConf(proxied bool) string {
	conf := "Acquire::Retries \"" + s.online("4", "0") + "\";\nAcquire::http::Timeout \"60\";\nAcquire::https::Timeout \"60\";\nAPT::Update::Error-Mode \"any\";\n"
	if !proxied {
		conf += "Acquire::http::Proxy \"http://" + s.address + "/\";\nAcquire::http::Proxy::localhost \"DIRECT\";\nAcquire::http::Proxy::127.0.0.1 \"DIRECT\";\n"
	}
	return conf
}

// env asks what the base images set. What is not known after a while is left
// out.
func (s *serving) env(ctx context.Context, rec recipe, unknown []string) map[string][]string {
	ctx, cancel := context.WithTimeout(ctx, envLimit)
	defer cancel()
	known := make(map[string][]string)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(4)
	for _, im := range rec.images() {
		if slices.Contains(unknown, im.ref) || !rec.bases(im.ref) {
			continue
		}
		group.Go(func() error {
			env, err := s.images().Env(ctx, im.ref, im.platforms)
			if err != nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			known[im.ref] = env
			return nil
		})
	}
	_ = group.Wait()
	return known
}

// bases reports whether a FROM begins with the image.
func (rec recipe) bases(ref string) bool {
	return slices.ContainsFunc(rec.needs, func(n dockerfile.Need) bool { return n.Kind == dockerfile.Image && n.Ref == ref })
}

// dockerProxies reports whether the docker client gives proxies to all builds.
func dockerProxies(getenv func(string) (string, bool)) bool {
	dir, ok := getenv("DOCKER_CONFIG")
	if home, _ := getenv("HOME"); !ok || dir == "" {
		dir = filepath.Join(home, ".docker")
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	var config struct {
		Proxies map[string]json.RawMessage `json:"proxies"`
	}
	return err == nil && json.Unmarshal(data, &config) == nil && len(config.Proxies) > 0
}
