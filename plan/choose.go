package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Road is how base images come to the builder.
type Road string

// The roads.
const (
	Gateway  Road = "gateway"  // by a source policy that leads to the gateway
	Contexts Road = "contexts" // over the build's own session, as OCI layouts from the store
	Direct   Road = "direct"   // not by Outlast: the builder asks for itself
)

// Input is all that a plan depends on.
type Input struct {
	Percent int      // of the scorecard, 0 to 100; nothing assessed is 100
	Forced  Strategy // the user's choice; empty means by Percent
	Reach   bool     // the builder reaches the gateway's address
	Sealed  bool     // the builder takes no OCI layouts
	Off     bool     // the user wants no gateway
	Past    []Past   // the attempts so far, the first one first
	Limit   int      // attempts at most; zero means 3
}

// Past is an attempt that failed.
type Past struct {
	Road        Road
	Kind        fault.Kind
	Poisoned    bool // the builder holds on to spoiled bytes
	Unreachable bool // the builder could not connect to the gateway
}

// A Plan is one attempt. Its zero value, with no Road, is no attempt: nothing
// is left that could help.
type Plan struct {
	Strategy   Strategy
	Dockerfile Variant
	Caches     []Cache
	Timeout    time.Duration
	Road       Road
	Heal       bool     // first make the builder drop what it holds on to
	Why        []string // a reason for each choice
}

// None reports whether p is no attempt.
func (p Plan) None() bool { return p.Road == "" }

// rule is a reason for an attempt. The first rule that applies decides.
type rule struct {
	name    string
	applies func(Input) bool
	road    func(Input) Road
	heal    bool
	why     string
}

var rules = []rule{
	{"enough", func(in Input) bool { return len(in.Past) >= in.limit() }, none, false, ""},
	{"off", func(in Input) bool { return len(in.Past) == 0 && in.Off }, always(Direct), false,
		"the gateway is switched off: the builder asks the registries itself"},
	{"reach", func(in Input) bool { return len(in.Past) == 0 && in.Reach }, always(Gateway), false,
		"the builder reaches the gateway: base images come through it"},
	{"sealed", func(in Input) bool { return len(in.Past) == 0 && in.Sealed }, always(Direct), false,
		"the builder neither reaches the gateway nor takes OCI layouts: it asks the registries itself"},
	{"no reach", func(in Input) bool { return len(in.Past) == 0 }, always(Contexts), false,
		"the builder has a network of its own: base images go over the build's session"},
	{"unreachable", func(in Input) bool { return in.last().Unreachable && !in.Sealed && !in.tried(Contexts) }, always(Contexts), false,
		"the builder could not connect to the gateway: base images go over the build's session"},
	{"poisoned", func(in Input) bool { return in.last().Poisoned && !in.healed() }, again, true,
		"the builder kept a spoiled download: a prune that matches nothing makes it let go"},
}

func none(Input) Road                { return "" }
func always(r Road) func(Input) Road { return func(Input) Road { return r } }
func again(in Input) Road            { return in.last().Road }

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
		return in.with(Plan{Road: road, Heal: r.heal, Why: []string{r.why}})
	}
	return Plan{}
}

func (in Input) with(p Plan) Plan {
	s, why := in.Forced, fmt.Sprintf("strategy %s: chosen by the user", in.Forced)
	if s == "" {
		s = ForPercent(in.Percent)
		why = fmt.Sprintf("strategy %s: the services that were measured are at %d%%", s, in.Percent)
	}
	r := s.row()
	p.Strategy, p.Dockerfile, p.Caches, p.Timeout = s, r.dockerfile, slices.Clone(r.caches), r.timeout
	p.Why = append(p.Why, why)
	return p
}

func (in Input) limit() int {
	if in.Limit > 0 {
		return in.Limit
	}
	return 3
}

func (in Input) last() Past {
	if len(in.Past) == 0 {
		return Past{}
	}
	return in.Past[len(in.Past)-1]
}

func (in Input) tried(road Road) bool {
	return slices.ContainsFunc(in.Past, func(p Past) bool { return p.Road == road })
}

// healed reports whether an attempt before the last one was poisoned already:
// then healing did not help.
func (in Input) healed() bool {
	return slices.ContainsFunc(in.Past[:len(in.Past)-1], func(p Past) bool { return p.Poisoned })
}
