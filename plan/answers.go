package plan

import (
	"fmt"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

// steps counts the attempts that lower the strategy. That a service was well
// again right after counts for it, once: one that answers whoever asks and fails
// whoever builds is not well.
func (in Input) steps() int {
	steps := 0
	over := make(map[string]bool)
	for _, past := range in.Past {
		if !past.service() || past.Diagnosis.Kind == fault.Engine || past.cache() || past.Made {
			continue
		}
		if d := past.Diagnosis; d.Over() && !over[d.Answer.Endpoint] {
			over[d.Answer.Endpoint] = true
			continue
		}
		steps++
	}
	return steps
}

// meaning says what follows from the answer of a service that was asked again.
func (in Input) meaning(a diagnose.Answer) string {
	switch {
	case !a.OK:
		return fmt.Sprintf("%s still %s: whoever else has the same is asked first", a.Endpoint, a.Kind.Verb())
	case in.believed(a.Endpoint):
		return a.Endpoint + " is well again: nothing is avoided, and the strategy stays for it"
	}
	return a.Endpoint + " answers well, and failed the build once more: it is not relied on"
}

// believed reports whether the last attempt is the first that this endpoint
// failed and was well after.
func (in Input) believed(endpoint string) bool {
	n := 0
	for _, past := range in.Past {
		if a := past.Diagnosis.Answer; a != nil && a.OK && a.Endpoint == endpoint {
			n++
		}
	}
	return n == 1
}
