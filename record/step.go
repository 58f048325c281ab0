package record

import "time"

// What is kept of an attempt, at most: a record is kept for months, and read by
// people.
const (
	MaxSteps = 1000 // steps
	MaxLog   = 20   // lines of the step that failed
	MaxLine  = 500  // bytes of one of those lines
)

// A Step is one step of an attempt: an instruction of the Dockerfile, or work
// of the engine's own. Its times are the engine's, whose clock may be another.
type Step struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started,omitzero"` // zero: it never began
	Ended   time.Time `json:"ended,omitzero"`   // zero: it did not end
	Cached  bool      `json:"cached,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// Took is how long the step lasted; 0 where it did not begin, or did not end.
func (s Step) Took() time.Duration {
	if s.Started.IsZero() || s.Ended.Before(s.Started) {
		return 0
	}
	return s.Ended.Sub(s.Started)
}

// A Place is where in a Dockerfile a build failed.
type Place struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line"`              // from 1
	Excerpt string `json:"excerpt,omitempty"` // the lines around it, as the engine draws them
}
