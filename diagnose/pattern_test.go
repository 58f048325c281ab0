package diagnose_test

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

// Each row reads its own sample, in the form in which the tool prints it, and
// no row before it takes that line.
func TestEveryPatternTakesItsSample(t *testing.T) {
	services := make(map[string]bool)
	for _, s := range diagnose.Services() {
		services[s] = true
	}
	kinds := make(map[fault.Kind]bool)
	for _, k := range fault.Kinds() {
		kinds[k] = true
	}
	seen := make(map[string]bool)
	for _, p := range diagnose.Patterns() {
		t.Run(p.Name, func(t *testing.T) {
			if seen[p.Name] {
				t.Error("the name is not unique")
			}
			seen[p.Name] = true
			if p.Service != "" && !services[p.Service] {
				t.Errorf("service %q is no word for one", p.Service)
			}
			if !kinds[p.Kind] {
				t.Errorf("kind %q is not known", p.Kind)
			}
			if strings.HasSuffix(p.Hint, ".") {
				t.Errorf("the hint ends with a full stop: %q", p.Hint)
			}
			d := diagnose.Diagnose(diagnose.Step{Log: strings.Split(p.Sample, "\n")})
			if d.Pattern != p.Name {
				t.Errorf("got pattern %q for the sample %q", d.Pattern, p.Sample)
			}
		})
	}
}
