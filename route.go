package outlast

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/plan"
)

// substitutesLabel is the label on an image that says what stood in for what.
const substitutesLabel = "build.outlast.substitutes"

// request makes a plan into what the engine is asked for.
func (b *build) request(ctx context.Context, p plan.Plan, s *shelf) (engine.Request, error) {
	req := engine.Request{Args: b.arguments(p), Dir: b.Dir, Env: b.Env, Stdin: b.stdin(), Stdout: b.Stdout, Kill: b.Kill}
	if p.Dockerfile == plan.Prepared {
		req.Dockerfile = b.resilient.path
	}
	if b.args().Call() == "" {
		req.Args = buildx.ReadArgs(req.Args).Without("cache-from", "cache-to")
	}
	req.Flags = append(b.cacheFlags(ctx, p, s), flags(p)...)
	b.hideToken(&req)
	return req, b.route(ctx, p, &req)
}

// arguments are the user's, as far as the plan leaves them as they are.
func (b *build) arguments(p plan.Plan) []string {
	var out []string
	if !p.UsersCaches {
		out = append(out, "cache-from", "cache-to")
	}
	if p.Finish {
		out = append(out, "no-cache", "no-cache-filter", "pull")
	}
	if len(out) == 0 {
		return b.args().Raw()
	}
	return b.args().Without(out...)
}

// flags are those of buildx that a plan comes to, but for caches.
func flags(p plan.Plan) []string {
	var all []string
	for _, stage := range p.Rebuild {
		// The builder's list of names is cut at commas: what stands before
		// this one is the empty name, that of all stages without one. The
		// name behind it is none that a stage may have.
		if !named(stage) {
			stage = ",-"
		}
		all = append(all, "--no-cache-filter="+stage)
	}
	if len(p.Substitutes) > 0 {
		var pairs []string
		for _, ref := range slices.Sorted(maps.Keys(p.Substitutes)) {
			pairs = append(pairs, ref+"="+p.Substitutes[ref])
		}
		all = append(all, "--label="+substitutesLabel+"="+strings.Join(pairs, " "))
	}
	return all
}

// named reports whether a stage has a name of its own: those that have none
// are shown as stage-0 and so on, or not at all.
func named(stage string) bool { return stage != "" && !strings.HasPrefix(stage, "stage-") }

// route puts the gateway in the way, by the road of the plan.
func (b *build) route(ctx context.Context, p plan.Plan, req *engine.Request) error {
	rec := b.recipeOf(p)
	req.Contexts = make(map[string]string)
	held := b.held(ctx, rec)
	req.Pins = b.lock.pins(rec, held)
	for _, im := range rec.images() {
		if s := p.Substitutes[im.ref]; s != "" {
			req.Contexts[im.as] = "docker-image://" + s
		}
	}
	if p.Road == plan.Direct || b.mirror == nil {
		return nil
	}
	if p.Road == plan.Contexts {
		images := slices.DeleteFunc(rec.images(), func(im image) bool { return slices.Contains(held, im.ref) })
		for i, im := range images {
			images[i].ref = b.lock.pinned(cmp.Or(p.Substitutes[im.ref], im.ref))
		}
		contexts, err := b.mirror.export(ctx, images)
		maps.Copy(req.Contexts, contexts)
		return err
	}
	for _, host := range b.mirror.Registries.Hosts() {
		req.Routes = append(req.Routes, engine.Route{Host: host, Prefix: b.mirror.prefix(host)})
	}
	req.Keep = held
	req.Detours = b.detours(ctx, rec)
	b.prepare(ctx, rec, slices.Concat(held, slices.Collect(maps.Keys(p.Substitutes))), req)
	return nil
}

func (b *build) recipeOf(p plan.Plan) recipe {
	if p.Dockerfile == plan.Prepared && b.resilient != nil {
		return *b.resilient
	}
	return b.recipe
}

// hosts are the registries that the gateway serves beyond those of the
// settings.
func (b *build) hosts() []string {
	hosts := b.recipe.registries()
	if b.resilient != nil {
		hosts = append(hosts, b.resilient.registries()...)
	}
	for _, ref := range b.cacheRefs() {
		hosts = append(hosts, registryOf(ref))
	}
	return hosts
}

// held returns the needed images that the engine itself has and would take,
// which no registry may know. Who says --pull wants the registry's.
func (b *build) held(ctx context.Context, rec recipe) []string {
	h, ok := b.engine.(Holder)
	if !ok || b.args().Bool("pull") {
		return nil
	}
	var refs []string
	for _, im := range rec.images() {
		refs = append(refs, im.ref)
	}
	held, err := h.Local(ctx, refs, b.args().Platforms(b.getenv))
	if err != nil {
		b.note(fmt.Sprintf("the engine's own images could not be listed: %v", err))
	}
	return held
}

func (b *build) reaches() bool {
	r, ok := b.engine.(Reacher)
	if !ok {
		return true
	}
	ok, _ = r.Reaches()
	return ok
}

// sealed is asked only where the answer may matter: it costs a question to the
// engine.
func (b *build) sealed(ctx context.Context) bool {
	t, ok := b.engine.(Taker)
	return ok && !t.Layouts(ctx)
}

// sources lists who may have the content of the needed registries.
func (b *build) sources() map[string][]string {
	all := make(map[string][]string)
	for _, host := range b.hosts() {
		r := b.Settings.Registry(host)
		for _, m := range r.Mirrors {
			all[host] = append(all[host], endpoint(m.URL))
		}
		all[host] = append(all[host], endpoint(r.Origin))
	}
	return all
}

func endpoint(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// cached tells which of the needed images the store knows.
func (b *build) cached() map[string]bool {
	known := make(map[string]bool)
	for _, n := range b.recipe.needs {
		if n.Registry() && b.mirror != nil && b.mirror.knows(b.lock.pinned(n.Ref)) {
			known[n.Ref] = true
		}
	}
	return known
}

// findAbsent asks for the images that others may stand in for, and for those,
// as far as it takes: what no source has must be known before the build begins.
func (b *build) findAbsent(ctx context.Context) {
	if b.mirror == nil {
		return
	}
	present := make(map[string]bool)
	for _, rec := range b.recipes() {
		for _, n := range rec.needs {
			if len(n.Substitutes) == 0 || slices.Contains(b.held(ctx, rec), n.Ref) {
				continue
			}
			for _, ref := range append([]string{n.Ref}, n.Substitutes...) {
				if _, asked := present[ref]; !asked {
					present[ref] = b.mirror.has(ctx, b.lock.pinned(ref))
				}
				if present[ref] {
					break
				}
				if !slices.Contains(b.absent, ref) {
					b.absent = append(b.absent, ref)
				}
			}
		}
	}
}

// Levels are the thresholds and timeouts of the settings.
func Levels(s config.Settings) plan.Levels {
	if s.Timeouts.Optimal == 0 {
		return nil
	}
	return plan.Levels{
		plan.Optimal:      {AtLeast: s.Thresholds.Optimal, Timeout: s.Timeouts.Optimal},
		plan.Resilient:    {AtLeast: s.Thresholds.Resilient, Timeout: s.Timeouts.Resilient},
		plan.Conservative: {AtLeast: s.Thresholds.Conservative, Timeout: s.Timeouts.Conservative},
		plan.Emergency:    {AtLeast: 0, Timeout: s.Timeouts.Emergency},
	}
}
