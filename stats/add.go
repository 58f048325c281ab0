package stats

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"github.com/outlast-build/outlast/record"
)

// Add adds a run.
func (t *Tally) Add(r record.Run) {
	if r.Is(record.KindCheck) {
		t.Checks++
	} else {
		t.Builds++
		t.addBuild(r)
	}
	if len(r.Card.Categories) > 0 {
		t.Score = t.Score.plus(Score{Runs: 1, Sum: r.Card.Deciding(), Least: r.Card.Deciding()})
	}
	t.addChecks(r)
}

func (t *Tally) addBuild(r record.Run) {
	count(&t.Outcomes, r.Outcome, 1, maxKinds)
	s := at(&t.Strategies, cmp.Or(r.Strategy, "none"), maxKinds)
	s.Builds++
	switch r.Outcome {
	case record.Built:
		s.Built++
		s.Took = s.Took.Add(r.Took())
	case record.NoSource, record.NoEngine:
		s.Lost++
	case record.Failed:
		s.Users++
	}
	for i, a := range r.Attempts {
		t.addAttempt(a)
		if i > 0 {
			t.addRetry(r.Attempts[i-1], a)
		}
	}
	t.addOutage(r)
	for _, s := range r.Services {
		t.addService(s)
	}
	t.addImages(r)
}

func (t *Tally) addAttempt(a record.Attempt) {
	s := at(&t.Strategies, cmp.Or(a.Strategy, "none"), maxKinds)
	took := a.Ended.Sub(a.Started)
	s.Attempts++
	s.AttemptTook = s.AttemptTook.Add(took)
	if strings.HasPrefix(a.Limit, "timeouts.") {
		s.Reached++
	}
	if a.Swallowed != "" {
		count(&t.Swallowed, clip(a.Swallowed), 1, MaxSteps)
	}
	if a.Kind != "" {
		return
	}
	tiers := a.Caches
	if len(tiers) == 0 {
		tiers = []string{NoCache}
	}
	for _, tier := range tiers {
		c := at(&t.Caches, tier, maxKinds)
		c.Attempts++
		c.Steps += a.Steps
		c.Cached += a.Cached
		c.Took = c.Took.Add(took)
	}
}

func (t *Tally) addRetry(before, a record.Attempt) {
	kind := before.Kind
	if before.Diagnosis != nil {
		kind = before.Diagnosis.Kind
	}
	r := at(&t.Retries, kind, maxKinds)
	r.Tried++
	if a.Kind == "" {
		r.Helped++
		return
	}
	r.Spent += max(0, a.Waited) + max(0, a.Ended.Sub(a.Started))
}

func (t *Tally) addOutage(r record.Run) {
	lost := lostAttempts(r)
	out := len(r.Stale) > 0 || len(r.Substitutes) > 0
	met := lost > 0 || out || r.Outcome == record.NoSource
	for _, s := range r.Services {
		met = met || trouble(s) > 0
		out = out || s.Origin && gone(s)
	}
	if !met {
		return
	}
	o := Outages{Met: 1, AttemptsLost: lost}
	if r.Outcome == record.Built {
		o.Survived = 1
		if out || lost > 0 {
			o.Saved = 1
		}
		if out && lost == 0 {
			o.AttemptsSaved = 1
		}
	}
	t.Outages = t.Outages.plus(o)
}

// lostAttempts counts the attempts that a service ended.
func lostAttempts(r record.Run) int {
	n := 0
	for _, a := range r.Attempts {
		if d := a.Diagnosis; a.Kind != "" && d != nil && d.Retryable && !d.UserError {
			n++
		}
	}
	return n
}

// trouble counts the requests of a service that failed by its fault.
func trouble(s record.Service) int {
	n := 0
	for k, c := range s.Failed {
		if k.Blames() {
			n += c
		}
	}
	if s.Silent() {
		n += s.GivenUp
	}
	return n
}

// gone reports whether no request to a service was well, by its fault.
func gone(s record.Service) bool {
	return trouble(s) > 0 && s.Asked == s.Failures()+s.GivenUp
}

// key is what a service stands under: an endpoint may serve several.
func key(endpoint, serves string) string { return clip(endpoint) + " " + clip(serves) }

func (t *Tally) service(endpoint, serves string) *Service {
	s := at(&t.Services, key(endpoint, serves), MaxServices)
	if s.Endpoint == "" {
		s.Endpoint, s.Serves = clip(endpoint), clip(serves)
		if len(t.Services) > MaxServices && s == t.Services[Others] {
			s.Endpoint, s.Serves = Others, ""
		}
	}
	return s
}

func (t *Tally) addService(r record.Service) {
	s := t.service(r.Endpoint, r.Serves)
	s.Origin = s.Origin || r.Origin
	s.Builds++
	if trouble(r) > 0 {
		s.Bad++
	}
	if gone(r) {
		s.Out++
	}
	s.Asked += r.Asked
	s.GivenUp += r.GivenUp
	for k, n := range r.Failed {
		count(&s.Failed, k, n, maxKinds)
	}
	s.Bytes += r.Bytes
	if len(r.Latency) > 0 {
		s.Latency = s.Latency.Merge(r.Latency)
	}
}

// addChecks adds what assessments said of endpoints.
func (t *Tally) addChecks(r record.Run) {
	for _, c := range r.Card.Categories {
		for _, k := range c.Checks {
			if k.Host == "" {
				continue
			}
			s := t.service(k.Host, k.For)
			s.Checks++
			if k.OK {
				s.Well++
			}
		}
	}
}

// from is how BuildKit names the step of a base image, resolved.
var from = regexp.MustCompile(`FROM (\S+)@(sha256:[0-9a-f]{64})$`)

func (t *Tally) addImages(r record.Run) {
	digests := make(map[string]string)
	for _, a := range r.Attempts {
		for _, s := range a.Ran {
			if m := from.FindStringSubmatch(s.Name); m != nil {
				digests[m[1]] = m[2]
			}
		}
	}
	seen := make(map[string]bool)
	for _, n := range r.Needs {
		if n.Kind != "image" || seen[n.Ref] {
			continue
		}
		seen[n.Ref] = true
		im := at(&t.Images, clip(n.Ref), MaxImages)
		im.Builds++
		if n.Locked || strings.Contains(n.Ref, "@sha256:") {
			im.Locked++
		}
		if d := digests[n.Ref]; d != "" {
			count(&im.Digests, d, 1, MaxDigests)
		}
	}
}

// maxName bounds a name, in bytes.
const maxName = 255

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxName)], "") }

// DayOf is the day that a run counts for: that of its beginning, in UTC.
func DayOf(r record.Run) time.Time { return r.Started.UTC().Truncate(24 * time.Hour) }
