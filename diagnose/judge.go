package diagnose

import (
	"strings"

	"github.com/outlast-build/outlast/fault"
)

// hit is a line that a pattern took.
type hit struct {
	p      *Pattern
	at     int // index of the line
	weight int
}

// judge finds the line that tells the cause. It goes from the end to the start:
// where a log asks for more work than it gets, its end is read.
func (l *log) judge() Diagnosis {
	var best hit
	known := make(map[string]*Pattern) // long logs repeat themselves
	for i := len(l.lines) - 1; i >= 0; i-- {
		p, ok := known[l.lines[i].text]
		if !ok {
			if l.tried > maxTried {
				break
			}
			p = l.match(l.lines[i])
			known[l.lines[i].text] = p
		}
		if p == nil {
			continue
		}
		if l.lines[i].warn && p.verdict().user && p.Weight > Consequence {
			continue // warnings blame nobody
		}
		h := hit{p, i, l.weigh(p, i)}
		if best.p == nil || h.weight > best.weight {
			best = h
		}
	}
	if best.p == nil || best.p.Weight <= Trace {
		if d, ok := l.byStage(); ok {
			return d
		}
	}
	if best.p == nil {
		return l.unknown()
	}
	return l.diagnosis(best)
}

// byStage tells the cause where no words are known, but the step that failed
// is BuildKit's own work on a cache or on itself.
func (l *log) byStage() (Diagnosis, bool) {
	for _, s := range stages {
		if s.kind == fault.Unknown || !s.match.MatchString(l.title) {
			continue
		}
		d := l.unknown()
		v := verdicts[kinds[s.kind]]
		d.Kind, d.Service, d.Hint, d.Confidence = s.kind, s.service, s.kind.Hint(), 0.5
		if d.Service == "" {
			d.Service = "registry-cache"
		}
		d.Retryable, d.FallbackHelps, d.UserError = v.retry, v.fallback, v.user
		return d, true
	}
	return Diagnosis{}, false
}

// weigh says how much a match proves where it stands. A warning proves less
// than an error, and a line of another step than that of the one that failed;
// but both prove more than a mere consequence.
func (l *log) weigh(p *Pattern, at int) int {
	w := int(p.Weight) * 10
	line := l.lines[at]
	if line.warn && p.Weight > Consequence {
		w = max(min(w-15, int(Wrapper)*10+5), int(Consequence)*10+1)
	}
	if line.warn && l.ran && (p.Service == "gha-cache" || p.Service == "registry-cache") {
		w = 1 // a cache that could not be used never made a command fail
	}
	if frame.MatchString(line.text) {
		w -= 15
	}
	if l.failed != "" && line.step != "" && line.step != l.failed {
		w -= 25
	}
	return w
}

func (l *log) diagnosis(h hit) Diagnosis {
	line := l.lines[h.at]
	d := Diagnosis{
		Kind:     h.p.Kind,
		Service:  h.p.Service,
		Pattern:  h.p.Name,
		Hint:     h.p.Hint,
		Endpoint: l.endpoint(h),
		Evidence: Evidence{Line: line.number, Text: shown(line.text)},
	}
	v := h.p.verdict()
	if d.Service == "" {
		d.Service = l.service(h)
	}
	if s := l.stage(); s != "" && d.Service == "registry" {
		d.Service = s // the cache is a registry, and the image's is not at fault
	}
	if u, ok := lastURL(line.text); ok && d.Service == "registry" && first(paths, "//"+u.host+u.path) == "gha-cache" {
		d.Service = "gha-cache" // lazily pulled layers of a cache are asked for in a registry's words
	}
	if own(d.Endpoint) && (h.p.Kind == fault.DNS || refused.MatchString(line.text)) {
		// A name without a dot, or an address of this machine or network:
		// nobody's outage (but the resolver's own, which is not the name's).
		d.Kind, v = fault.Config, verdicts[User]
		switch d.Service {
		case "network", "dns":
			d.Service = "other"
		case "registry-cache":
			v = verdicts[UserOrElse] // the build does without it
		}
	}
	if h.p.Kind == fault.Auth && !v.user && l.pushing(line.text) {
		v = verdicts[User] // a login that may read need not be allowed to write
		if h.p.Service == "auth" && strings.Contains(line.text, "token") {
			v = verdicts[Elsewhere]
		}
	}
	d.Retryable, d.FallbackHelps, d.UserError = v.retry, v.fallback, v.user
	if d.Hint == "" {
		d.Hint = d.Kind.Hint()
	}
	if d.Kind == fault.Resource {
		d.Asked = l.asked()
	}
	d.Confidence = confidence(h)
	return d
}

// errorLike finds a line to show where no pattern knows one.
var errorLike = re(`(?i)error|fail|fatal|panic|cannot|unable|denied|not found|exception|refused|timed? ?out`)

// frame is a line of a stack trace: it names functions, not causes.
var frame = re(`^at \S.*\(`)

var pushes = re(`failed to push|(?:PUT|POST|PATCH) request|blobs/uploads|pull(?:%2C|,)push`)

// pushing reports whether the failure is one of a push.
func (l *log) pushing(text string) bool {
	return pushes.MatchString(text)
}

// confidence is how often a match of this weight is right, roughly.
func confidence(h hit) float64 {
	switch w := h.weight / 10; {
	case w >= int(Certain):
		return 0.97
	case w >= int(Specific):
		return 0.93
	case w >= int(Likely):
		return 0.85
	case w >= int(Vague):
		return 0.7
	case w >= int(Consequence):
		return 0.6
	}
	return 0.4
}

// unknown shows the last line that looks like an error, or the last line.
func (l *log) unknown() Diagnosis {
	d := Diagnosis{Kind: fault.Unknown, Service: "other", Hint: fault.Unknown.Hint()}
	for i := len(l.lines) - 1; i >= 0; i-- {
		line := l.lines[i]
		if suspect := errorLike.MatchString(line.text); suspect || d.Evidence.Line == 0 {
			d.Evidence = Evidence{line.number, shown(line.text)}
			if suspect {
				break
			}
		}
	}
	return d
}
