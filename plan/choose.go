package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// A Road is how base images come to the builder.
type Road string

// The roads.
const (
	Gateway  Road = "gateway"  // by a source policy that leads to the gateway
	Contexts Road = "contexts" // over the build's own session, as OCI layouts from the store
	Direct   Road = "direct"   // not by Outlast: the builder asks for itself
)

// A Plan is one attempt. Its zero value, with no Road, is no attempt: nothing
// is left that could help.
type Plan struct {
	Strategy    Strategy
	Dockerfile  Variant
	Caches      []Cache // to import, in order; those that can be written are written, too
	UsersCaches bool    // the caches that the user named are used
	Timeout     time.Duration
	Road        Road
	Routes      map[string][]string // who is asked for the content of each needed registry, best first
	Substitutes map[string]string   // by reference: the image that stands in for it
	Rebuild     []string            // stages whose steps are not taken from the builder's cache
	Finish      bool                // the image was made: no step is to run again
	Heal        bool                // first make the builder drop what it holds on to
	Pause       Pause               // before the attempt
	Why         []string            // a reason for each choice, what is most telling first
}

// A Pause is a wait before an attempt. The zero value is none.
type Pause struct {
	Failures int           // the attempts that a service made fail
	After    time.Duration // what a service asked for; 0: nothing
}

// None reports whether p is no attempt.
func (p Plan) None() bool { return p.Road == "" }

// A rule is a reason for an attempt. The first that applies decides.
type rule struct {
	name    string
	applies func(Input) bool
	road    func(Input) Road
	do      func(Input, *Plan) // nil: nothing beyond
	why     string
}

var rules = []rule{
	{"enough", Input.spent, none, nil, ""},
	{"off", func(in Input) bool { return in.first() && in.Off }, always(Direct), nil,
		"the gateway is switched off: the builder asks the registries itself"},
	{"reach", func(in Input) bool { return in.first() && in.Reach }, always(Gateway), nil,
		"the builder reaches the gateway: base images come through it"},
	{"sealed", func(in Input) bool { return in.first() && in.Sealed }, always(Direct), nil,
		"the builder neither reaches the gateway nor takes OCI layouts: it asks the registries itself"},
	{"no reach", Input.first, always(Contexts), nil,
		"the builder has a network of its own: base images go over the build's session"},
	{"unreachable", func(in Input) bool { return in.last().Unreachable && !in.Sealed && !in.tried(Contexts) }, always(Contexts), nil,
		"the builder could not connect to the gateway: base images go over the build's session"},
	{"poisoned", func(in Input) bool { return in.last().Spoiled != "" && !in.healed() }, again, heal,
		"the builder kept a spoiled download: a prune that matches nothing makes it let go"},
	{"substitute", func(in Input) bool { return len(in.last().Absent) > 0 && in.otherSubstitutes() }, again, nil,
		"no source has an image that the Dockerfile names a substitute for"},
	{"room", func(in Input) bool { return in.last().Freed > 0 && !in.roomMade() }, again, heal,
		"the disk was full, and the local store made room on it: the steps that are finished stay, the rest is tried once more"},
	{"time", func(in Input) bool { return in.last().TimedOut }, none, nil, ""},
	{"cache", func(in Input) bool {
		return in.last().LeftOut || in.last().cache() && (in.last().Plan.UsersCaches || len(in.last().Plan.Caches) > 0)
	}, again, nil,
		"an external build cache failed: the build goes on without, and the steps that are finished stay"},
	{"swallowed", func(in Input) bool { return in.last().Swallowed && in.last().service() }, again, pause,
		"an earlier download failed in silence: its stage is built anew"},
	{"push", func(in Input) bool {
		return in.last().Made && in.last().service() && in.last().Diagnosis.Kind != fault.Engine
	}, again, pause,
		"the image was made and could not be sent: only that is tried again"},
	{"engine", func(in Input) bool { return in.last().service() && in.last().Diagnosis.Kind == fault.Engine }, again, pause,
		"the builder went away: it is waited for, or another one is taken"},
	{"again", func(in Input) bool { return in.last().service() }, again, pause,
		"a service failed: the steps that are finished stay, the rest is tried again"},
}

func (in Input) first() bool         { return len(in.Past) == 0 }
func none(Input) Road                { return "" }
func always(r Road) func(Input) Road { return func(Input) Road { return r } }
func again(in Input) Road            { return in.last().Plan.Road }
func heal(_ Input, p *Plan)          { p.Heal = true }
func pause(in Input, p *Plan)        { p.Pause = Pause{in.failures(), in.last().After} }

// Choose plans the next attempt. Where no rule applies it returns a Plan that
// is None: another try cannot help.
func Choose(in Input) Plan {
	for _, r := range rules {
		if !r.applies(in) {
			continue
		}
		road := r.road(in)
		if road == "" {
			return Plan{}
		}
		p := Plan{Road: road}
		if r.do != nil {
			r.do(in, &p)
		}
		// What was done about a failure is news; which road the first attempt
		// takes is not.
		if !in.first() {
			p.Why = append(p.Why, r.why)
		}
		for _, choose := range choices {
			choose(in, &p)
		}
		if in.first() {
			p.Why = append(p.Why, r.why)
		}
		return p
	}
	return Plan{}
}

// choices fill in the rest of a plan, each with its reason.
var choices = []func(Input, *Plan){Input.finish, Input.strategy, Input.variant, Input.caches, Input.replace, Input.rebuild, Input.routes}

func (p *Plan) because(format string, args ...any) {
	p.Why = append(p.Why, fmt.Sprintf(format, args...))
}

// finishing is how long an attempt may take that has nothing to build.
const finishing = 10 * time.Minute

func (in Input) finish(p *Plan) { p.Finish = in.last().Made }

// strategy is that of the user, or of the card, a step lower for each attempt
// that a service made fail. What the build itself does not depend on, a builder
// that went away or a cache, lowers nothing: what failed is taken out. Nor does a
// push: another Dockerfile would be another image.
func (in Input) strategy(p *Plan) {
	card, of := in.Card, "all services"
	if in.Card.Known {
		card, of = card.Needed(), "the services that this build needs"
	}
	steps := in.steps()
	switch measured := in.Levels.For(card.Percent()); {
	case in.Forced != "":
		p.Strategy = in.Forced
		p.because("strategy %s: chosen by the user", p.Strategy)
	case len(in.Card.Categories) == 0:
		p.Strategy = Optimal.lower(steps)
		p.because("strategy %s: no service was measured", p.Strategy)
	default:
		p.Strategy = measured.lower(steps)
		p.because("strategy %s: %s are at %d%%%s", p.Strategy, of, card.Percent(), failing(card.Failed()))
	}
	if steps > 0 && in.Forced == "" {
		p.because("%s lower, after as many failed attempts", count(steps, "step"))
	}
	if a := in.last().Diagnosis.Answer; a != nil && in.last().service() {
		p.because("%s", in.meaning(*a))
	}
	p.Timeout = in.Levels.Of(p.Strategy).Timeout
	if p.Finish {
		p.Timeout = min(p.Timeout, finishing)
	}
	p.because("an attempt may take %s", short(p.Timeout))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// short drops the zero parts that time.Duration writes.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (in Input) variant(p *Plan) {
	p.Dockerfile = p.Strategy.row().dockerfile
	switch {
	case p.Dockerfile == Prepared && in.Resilient:
		p.because("Dockerfile.resilient is built, as the strategy is %s", p.Strategy)
	case p.Dockerfile == Prepared:
		p.Dockerfile = Users
		p.because("the Dockerfile is built as it stands: there is no Dockerfile.resilient beside it")
	default:
		p.because("the Dockerfile is built as it stands")
	}
}

// caches are those of the strategy that are there, but for those that failed.
func (in Input) caches(p *Plan) {
	p.UsersCaches = true
	failed := make(map[Cache]bool)
	for _, past := range in.Past {
		if !past.cache() || past.LeftOut {
			continue
		}
		// Which of several it was does not always show: all of that attempt
		// stay out. The user's own go only where there was no other.
		for _, c := range past.Plan.Caches {
			failed[c] = true
		}
		if len(past.Plan.Caches) == 0 {
			p.UsersCaches = false
		}
	}
	for _, c := range p.Strategy.row().caches {
		if slices.Contains(in.Caches, c) && !failed[c] {
			p.Caches = append(p.Caches, c)
		}
	}
	switch {
	case p.Strategy == Emergency:
		p.because("no external cache is imported or exported; the builder's own stays")
	case len(in.Caches) == 0:
		p.because("no external cache is set up; the builder's own stays")
	case len(p.Caches) == 0:
		p.because("no external cache that is set up is used")
	default:
		names := make([]string, len(p.Caches))
		for i, c := range p.Caches {
			names[i] = string(c)
		}
		p.because("external caches, in this order: %s", strings.Join(names, ", "))
	}
	if !p.UsersCaches {
		p.because("the caches that you named with --cache-from and --cache-to stay out, as they failed")
	}
}

func (in Input) replace(p *Plan) {
	p.Substitutes = in.substitutes()
	for _, ref := range slices.Sorted(maps.Keys(p.Substitutes)) {
		p.because("%s stands in for %s, which no source has", p.Substitutes[ref], ref)
	}
}

// rebuild lists the stages with a step that may have been spoiled by a
// download that failed in silence.
func (in Input) rebuild(p *Plan) {
	if p.Finish {
		return
	}
	for _, past := range in.Past {
		if past.Swallowed && past.Stage != "" && !slices.Contains(p.Rebuild, past.Stage) {
			p.Rebuild = append(p.Rebuild, past.Stage)
			p.because("stage %s is built anew: an earlier download in it failed in silence", past.Stage)
		}
	}
}

// store is the local store among the sources of a route.
const store = "local store"

// routes ranks the sources of what is needed.
func (in Input) routes(p *Plan) {
	if p.Road == Direct {
		return
	}
	p.Routes = make(map[string][]string)
	for _, n := range in.Needs {
		if !n.Registry() || n.Host == "" {
			continue
		}
		if _, done := p.Routes[n.Host]; !done {
			p.Routes[n.Host] = append(in.Health.Rank(in.Sources[n.Host]), store)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(p.Routes)) {
		in.outage(p, host)
		given, ranked := in.Sources[host], p.Routes[host]
		if len(given) > 0 && given[0] != ranked[0] {
			p.because("%s: %s is asked before %s, which %s", host, ranked[0], given[0], in.Health.Standing(given[0]).Last.Verb())
		}
		if in.Card.Percent() < 100 && in.allCached(host) {
			p.because("%s: the local store has what is needed of it", host)
		}
	}
}

// outage tells of a registry that was found to be down what that means: whether
// others that may have its content are well.
func (in Input) outage(p *Plan, host string) {
	var down *health.Check
	var well []string
	mirrors := 0
	for _, c := range in.Card.Categories {
		for _, k := range c.Checks {
			switch {
			case k.For != host || c.Name == health.Internet:
			case c.Name != health.Mirrors && !k.OK:
				down = &k
			case c.Name == health.Mirrors:
				mirrors++
				if k.OK {
					well = append(well, k.Name)
				}
			}
		}
	}
	switch {
	case down == nil || mirrors == 0:
	case len(well) > 0:
		p.because("%s itself %s; of its mirrors these are well: %s", host, down.Kind.Verb(), strings.Join(well, ", "))
	default:
		p.because("%s itself %s, and no mirror of it is well", host, down.Kind.Verb())
	}
}

func (in Input) allCached(host string) bool {
	for _, n := range in.Needs {
		if n.Registry() && n.Host == host && !in.Cached[n.Ref] {
			return false
		}
	}
	return true
}

// failing names the checks that failed, the first three.
func failing(checks []health.Check) string {
	if len(checks) == 0 {
		return ""
	}
	var names []string
	for i, c := range checks {
		if i == 3 {
			names = append(names, fmt.Sprintf("%d more", len(checks)-i))
			break
		}
		names = append(names, c.Name+" "+c.Kind.Verb())
	}
	return " (" + strings.Join(names, ", ") + ")"
}
