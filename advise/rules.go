package advise

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/stats"
)

var rules = []Rule{
	{"mirror-fails", "a mirror failed at least 20 % of 50 requests or more, in 20 builds or more", mirrorFails, sampleMirrorFails},
	{"rate-limit", "a registry limited the rate in 3 builds or more, and in at least half of its failures", rateLimit, sampleRateLimit},
	{"second-source", "a service failed in 5 builds or more and in at least 5 % of those that asked it, and nobody else was asked for the same", secondSource, sampleSecondSource},
	{"cache-costs", "20 attempts or more with a tier of caches took at least 10 % longer than 20 or more without any, and found no more than 5 % more of their steps", cacheCosts, sampleCacheCosts},
	{"timeout-reached", "a strategy's timeout ended at least 20 % of 10 attempts or more", timeoutReached, sampleTimeoutReached},
	{"timeout-idle", "none of 50 attempts or more took a quarter of its strategy's timeout", timeoutIdle, sampleTimeoutIdle},
	{"tag-moves", "a tag that is not locked stood for 2 images or more, in 20 builds or more", tagMoves, sampleTagMoves},
	{"not-locked", "less than half of 20 builds or more had the base image locked, whose tag has not moved", notLocked, sampleNotLocked},
	{"swallowed", "a step hid a failed download in 3 failed attempts or more", swallowed, sampleSwallowed},
}

func mirrorFails(in Input) []Advice {
	var all []Advice
	for _, s := range services(in.Tally) {
		bad, asked := s.Failures(), s.Asked-s.GivenUp
		if s.Origin || s.Builds < 20 || asked < 50 || float64(bad) < 0.2*float64(asked) {
			continue
		}
		change := fmt.Sprintf("take %s out of packages in the settings", s.Endpoint)
		mirrors, ok := in.Mirrors[s.Serves]
		if ok {
			left := slices.DeleteFunc(slices.Clone(mirrors), func(m string) bool { return hostOf(m) == s.Endpoint })
			if len(left) == len(mirrors) {
				continue // it is gone already
			}
			change = fmt.Sprintf("registries: {%s: {mirrors: [%s]}}", s.Serves, strings.Join(left, ", "))
		}
		all = append(all, Advice{Title: fmt.Sprintf("the mirror %s of %s fails often", s.Endpoint, s.Serves),
			Why: fmt.Sprintf("%d of %d requests failed (%s), in %d of %d builds", bad, asked, percent(bad, asked), s.Bad, s.Builds), Change: change})
	}
	return all
}

func rateLimit(in Input) []Advice {
	var all []Advice
	for _, s := range services(in.Tally) {
		limited := s.Failed[fault.RateLimited]
		if !registry(s) || !s.Origin || s.Bad < 3 || limited < 3 || 2*limited < s.Failures() {
			continue
		}
		all = append(all, Advice{Title: fmt.Sprintf("%s limits the rate", s.Serves),
			Why:    fmt.Sprintf("%d of %d requests were refused for their number, and it failed in %d of %d builds: who is logged in may ask more often", limited, s.Asked, s.Bad, s.Builds),
			Change: "docker login " + s.Serves})
	}
	return all
}

func secondSource(in Input) []Advice {
	sources := make(map[string]int)
	for _, s := range in.Tally.Services {
		sources[s.Serves]++
	}
	var all []Advice
	for _, s := range services(in.Tally) {
		if !s.Origin || sources[s.Serves] > 1 || len(in.Mirrors[s.Serves]) > 0 || s.Bad < 5 || float64(s.Bad) < 0.05*float64(s.Builds) || 2*s.Failed[fault.RateLimited] >= s.Failures() {
			continue
		}
		change := fmt.Sprintf("packages: {%s: [https://%s, https://A-SECOND-ONE]}", s.Serves, s.Endpoint)
		switch {
		case s.Serves == "apt" || s.Serves == "apk":
			change = fmt.Sprintf("packages: {%s: [%s=https://A-SECOND-ONE]}", s.Serves, s.Endpoint)
		case registry(s):
			change = fmt.Sprintf("registries: {%s: {mirrors: [https://A-MIRROR-OF-IT]}}", s.Serves)
		}
		all = append(all, Advice{Title: fmt.Sprintf("%s has no second source", s.Serves),
			Why:    fmt.Sprintf("%s failed in %d of %d builds, %d of %d requests, and nobody else was asked", s.Endpoint, s.Bad, s.Builds, s.Failures(), s.Asked),
			Change: change})
	}
	return all
}

func cacheCosts(in Input) []Advice {
	none := in.Tally.Caches[stats.NoCache]
	if none == nil || none.Attempts < 20 || none.Steps == 0 {
		return nil
	}
	without, hits := none.Took.Quantile(0.5), float64(none.Cached)/float64(none.Steps)
	var all []Advice
	for _, tier := range slices.Sorted(maps.Keys(in.Tally.Caches)) {
		c := in.Tally.Caches[tier]
		change, known := cacheLines[tier]
		if !known || c.Attempts < 20 || c.Steps == 0 {
			continue
		}
		with, found := c.Took.Quantile(0.5), float64(c.Cached)/float64(c.Steps)
		if float64(with) < 1.1*float64(without) || found > hits+0.05 {
			continue
		}
		all = append(all, Advice{Title: fmt.Sprintf("the %s cache costs more than it saves", tier),
			Why: fmt.Sprintf("%d attempts with it took %s (median) and found %.0f%% of their steps; %d without any cache took %s and found %.0f%%",
				c.Attempts, with.Round(time.Second), 100*found, none.Attempts, without.Round(time.Second), 100*hits),
			Change: change})
	}
	return all
}

// cacheLines are what puts a tier out of use.
var cacheLines = map[string]string{
	"local":    "take cache.local out of the settings",
	"registry": "take cache.registry out of the settings",
	"actions":  "take type=gha out of --cache-from and --cache-to",
}

func timeoutReached(in Input) []Advice {
	var all []Advice
	for _, name := range slices.Sorted(maps.Keys(in.Timeouts)) {
		s, limit := in.Tally.Strategies[name], in.Timeouts[name]
		if s == nil || s.Attempts < 10 || float64(s.Reached) < 0.2*float64(s.Attempts) || limit >= 24*time.Hour {
			continue
		}
		all = append(all, Advice{Title: fmt.Sprintf("the timeout of %s is reached often", name),
			Why:    fmt.Sprintf("it ended %d of %d attempts after %s", s.Reached, s.Attempts, minutes(limit)),
			Change: fmt.Sprintf("timeouts: {%s: %s}", name, minutes(min(2*limit, 24*time.Hour)))})
	}
	return all
}

func timeoutIdle(in Input) []Advice {
	var all []Advice
	for _, name := range slices.Sorted(maps.Keys(in.Timeouts)) {
		s, limit := in.Tally.Strategies[name], in.Timeouts[name]
		if s == nil || s.Attempts < 50 || s.Reached > 0 {
			continue
		}
		longest := s.AttemptTook.Quantile(1)
		enough := max(5*time.Minute, time.Duration(math.Ceil(longest.Minutes()*2))*time.Minute)
		if 4*longest >= limit || enough >= limit {
			continue
		}
		all = append(all, Advice{Title: fmt.Sprintf("the timeout of %s is never near", name),
			Why:    fmt.Sprintf("the longest of %d attempts took %s of %s: one that hangs is found out late", s.Attempts, longest.Round(time.Second), minutes(limit)),
			Change: fmt.Sprintf("timeouts: {%s: %s}", name, minutes(enough))})
	}
	return all
}

func tagMoves(in Input) []Advice {
	var all []Advice
	for _, ref := range images(in.Tally) {
		im := in.Tally.Images[ref]
		if im.Builds < 20 || im.Locked == im.Builds || len(im.Digests) < 2 {
			continue
		}
		usual := slices.SortedFunc(maps.Keys(im.Digests), func(a, b string) int {
			return cmp.Or(cmp.Compare(im.Digests[b], im.Digests[a]), cmp.Compare(a, b))
		})[0]
		all = append(all, Advice{Title: fmt.Sprintf("the tag of %s moves", ref),
			Why:    fmt.Sprintf("it stood for %d images in %d builds, %d of which had it locked: the same commit does not give the same image", len(im.Digests), im.Builds, im.Locked),
			Change: fmt.Sprintf("FROM %s@%s", ref, usual)})
	}
	return all
}

func notLocked(in Input) []Advice {
	var all []Advice
	for _, ref := range images(in.Tally) {
		im := in.Tally.Images[ref]
		if im.Builds < 20 || 2*im.Locked >= im.Builds || len(im.Digests) > 1 {
			continue
		}
		all = append(all, Advice{Title: fmt.Sprintf("%s is not locked", ref),
			Why:    fmt.Sprintf("%d of %d builds had to ask its registry what the tag stands for", im.Builds-im.Locked, im.Builds),
			Change: "outlast lock, in the folder of the Dockerfile"})
	}
	return all
}

func swallowed(in Input) []Advice {
	var all []Advice
	for _, step := range slices.Sorted(maps.Keys(in.Tally.Swallowed)) {
		n := in.Tally.Swallowed[step]
		m := runStep.FindStringSubmatch(step)
		if n < 3 || m == nil || strings.ContainsFunc(step, unicode.IsControl) {
			continue
		}
		line := strings.ReplaceAll(m[1], "apt-get update", "apt-get update --error-on=any")
		if !strings.HasPrefix(line, "set -e") {
			line = "set -e; " + line
		}
		all = append(all, Advice{Title: "a step of the Dockerfile hides failed downloads",
			Why: fmt.Sprintf("%d attempts failed later because it ended well without what it was to fetch: %s", n, step), Change: "RUN " + line})
	}
	return all
}

// runStep is the name of a step that runs something.
var runStep = regexp.MustCompile(`^(?:\[[^\]]*\] )?RUN (.+)$`)

// services are those of a tally, in the order of their names.
func services(t stats.Tally) []*stats.Service {
	var all []*stats.Service
	for _, key := range slices.Sorted(maps.Keys(t.Services)) {
		if s := t.Services[key]; typable.MatchString(s.Endpoint) && typable.MatchString(s.Serves) {
			all = append(all, s)
		}
	}
	return all
}

// typable are the names that may stand in what people are told to type: what
// others wrote could be more than a name.
var typable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$`)

// images are the references of a tally's images, in their order.
func images(t stats.Tally) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.Images)), func(ref string) bool { return !typable.MatchString(ref) })
}

// registry reports whether s has images: package managers have names without a
// dot.
func registry(s *stats.Service) bool { return strings.ContainsAny(s.Serves, ".:") }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func percent(part, all int) string { return fmt.Sprintf("%.0f%%", 100*float64(part)/float64(all)) }

// minutes writes a time as settings have it.
func minutes(d time.Duration) string {
	if d%time.Minute != 0 {
		return d.String()
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}
