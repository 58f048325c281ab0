package diagnose

import (
	"slices"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// An Answer is what the service that a Diagnosis suspects said when it was
// asked again, after the failure.
type Answer struct {
	Endpoint string        `json:"endpoint"`       // who was asked: host or host:port
	OK       bool          `json:"ok"`             // it is well, though it may say no
	Kind     fault.Kind    `json:"kind,omitempty"` // what was wrong, or of what kind the no is
	Detail   string        `json:"detail"`         // what was seen, for people
	Took     time.Duration `json:"took"`           // in nanoseconds
}

// Doubtful reports whether an Answer of the suspected service could tell more:
// of what a compiler or a test says nothing is in doubt.
func (d Diagnosis) Doubtful() bool {
	if d.Kind == fault.Engine || d.Kind == fault.Resource {
		return false
	}
	return d.Retryable && !d.UserError || d.Endpoint != "" && slices.Contains(refusals, d.Kind)
}

// refusals are the kinds that read as the user's own mistake, or as a final no,
// and that services in an outage say as well.
var refusals = []fault.Kind{fault.NotFound, fault.Auth, fault.Rejected}

// passing are the kinds of an Answer that show an outage, which may pass.
var passing = []fault.Kind{fault.DNS, fault.Connection, fault.Timeout, fault.TLS, fault.Outage, fault.RateLimited, fault.HTML, fault.Truncated}

// With joins the answer of the service to a Diagnosis. A refusal by a service
// that is down is the outage's, and no more the user's.
func (d Diagnosis) With(a Answer) Diagnosis {
	d.Answer = &a
	if !a.OK && slices.Contains(refusals, d.Kind) && slices.Contains(passing, a.Kind) {
		v := verdicts[Again]
		d.Kind, d.Hint = a.Kind, a.Kind.Hint()
		d.Retryable, d.FallbackHelps, d.UserError = v.retry, v.fallback, v.user
	}
	return d
}

// Over reports whether the suspected service answered well after the failure:
// what was wrong with it has passed.
func (d Diagnosis) Over() bool { return d.Answer != nil && d.Answer.OK }

// Confirmed reports whether the suspected service was found to be unwell.
func (d Diagnosis) Confirmed() bool { return d.Answer != nil && !d.Answer.OK }
