package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Source is a place that has, or may have, a registry's images, as it did
// when it was asked for some tags.
type Source struct {
	URL      string    // its address; no secrets
	Tags     bool      // it is believed about tags
	Samples  []Sample  // what it was asked for
	LastGood time.Time // when a build last took its word; zero where that is not known
}

// A Registry is an origin beside its mirrors.
type Registry struct {
	Host     string // docker.io
	Origin   Source
	Mirrors  []Source
	Verdicts []Verdict         // of Mirrors
	Expected map[string]string // by image: the digest that the origin names, or else the last good one
}

// A Sample is one tag that a source was asked for.
type Sample struct {
	Image  string // docker.io/library/alpine:latest
	Digest string // of the bytes that came; empty where none did
	Took   time.Duration
	Kind   fault.Kind // how it failed; fault.None where it did not
	Detail string     // what was seen, for people
}

// Advice says what to do about a mirror.
type Advice string

// The advice.
const (
	Keep     Advice = "keep"
	Later    Advice = "look again" // it may come back, or it is the network here
	Distrust Advice = "distrust"   // keep it for digests, and do not believe it about tags
	Drop     Advice = "drop"
)

// A Verdict is what is wrong with a mirror, and what to do about it.
type Verdict struct {
	Advice Advice
	Wrong  string // a clause; empty where nothing is
	Same   int    // samples whose digest is the expected one
	Other  int    // samples with another one
}

// Reachable reports whether s gave any answer at all.
func (s Source) Reachable() bool {
	return slices.ContainsFunc(s.Samples, func(k Sample) bool { return !gone[k.Kind] && k.Kind != fault.Timeout })
}

// Took returns how long the fastest answer took, or 0 where none came.
func (s Source) Took() time.Duration {
	var best time.Duration
	for _, k := range s.Samples {
		if k.Kind == fault.None && (best == 0 || k.Took < best) {
			best = k.Took
		}
	}
	return best
}

// gone are the failures of a host that nobody keeps, and of a network that
// leads nowhere.
var gone = map[fault.Kind]bool{fault.DNS: true, fault.Connection: true, fault.TLS: true}

// Judge says how mirror does beside the tags' digests that are expected: those
// of the origin, or of the last good answer. Online says that the origin, or
// anybody else, could be reached from here.
func Judge(mirror Source, expected map[string]string, online bool) Verdict {
	var v Verdict
	var other []string
	for _, k := range mirror.Samples {
		switch want := expected[k.Image]; {
		case k.Digest == "" || want == "":
		case k.Digest == want:
			v.Same++
		default:
			v.Other++
			other = append(other, k.Image)
		}
	}
	for _, r := range verdicts {
		if k, ok := r.applies(mirror, v, online); ok {
			v.Advice, v.Wrong = r.advice, r.wrong
			if r.wrong == "" && k.Kind != fault.None {
				v.Wrong = k.Kind.Verb()
				if k.Detail != "" {
					v.Wrong += ": " + k.Detail
				}
			}
			break
		}
	}
	if v.Other > 0 && v.Advice != Drop {
		v.Wrong = fmt.Sprintf("has other digests than expected for %s", strings.Join(other, ", "))
		if !mirror.Tags {
			v.Wrong += ", which does no harm: it is not believed about tags"
		}
	}
	return v
}

// verdict is a reason for advice. The first that applies decides.
type verdict struct {
	advice  Advice
	wrong   string // empty: as the sample that applies says
	applies func(Source, Verdict, bool) (Sample, bool)
}

var verdicts = []verdict{
	{Later, "was asked for nothing: name an image that it should have", func(s Source, _ Verdict, _ bool) (Sample, bool) { return Sample{}, len(s.Samples) == 0 }},
	{Drop, "", some(fault.Corrupt)},
	{Distrust, "", func(s Source, v Verdict, _ bool) (Sample, bool) { return Sample{}, s.Tags && v.Other > 0 }},
	{Keep, "", func(s Source, _ Verdict, _ bool) (Sample, bool) {
		return Sample{}, slices.ContainsFunc(s.Samples, func(k Sample) bool { return k.Kind == fault.None })
	}},
	{Drop, "", func(s Source, v Verdict, online bool) (Sample, bool) {
		return every(fault.DNS, fault.Connection, fault.TLS, fault.HTML, fault.Rejected)(s, v, online && s.LastGood.IsZero())
	}},
	{Drop, "has none of the images that it was asked for", func(s Source, v Verdict, online bool) (Sample, bool) {
		return every(fault.NotFound)(s, v, true)
	}},
	{Later, "", func(s Source, _ Verdict, _ bool) (Sample, bool) { return s.Samples[0], true }},
}

// some applies where a sample failed so.
func some(kind fault.Kind) func(Source, Verdict, bool) (Sample, bool) {
	return func(s Source, _ Verdict, _ bool) (Sample, bool) {
		i := slices.IndexFunc(s.Samples, func(k Sample) bool { return k.Kind == kind })
		if i < 0 {
			return Sample{}, false
		}
		return s.Samples[i], true
	}
}

// every applies where every sample failed in one of these ways, and it is not
// the network here.
func every(kinds ...fault.Kind) func(Source, Verdict, bool) (Sample, bool) {
	return func(s Source, _ Verdict, online bool) (Sample, bool) {
		return s.Samples[0], online && !slices.ContainsFunc(s.Samples, func(k Sample) bool { return !slices.Contains(kinds, k.Kind) })
	}
}
