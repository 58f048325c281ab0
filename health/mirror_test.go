package health_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

func TestJudge(t *testing.T) {
	expected := map[string]string{"a": "sha256:a", "b": "sha256:b"}
	failed := func(kinds ...fault.Kind) []health.Sample {
		var all []health.Sample
		for _, k := range kinds {
			all = append(all, health.Sample{Image: "a", Kind: k, Detail: "seen"})
		}
		return all
	}
	got := func(a, b string) []health.Sample {
		return []health.Sample{{Image: "a", Digest: a, Took: time.Second}, {Image: "b", Digest: b, Took: time.Millisecond}}
	}
	last := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name      string
		mirror    health.Source
		offline   bool
		want      health.Verdict
		reachable bool
	}{
		{"has what the origin has", health.Source{Samples: got("sha256:a", "sha256:b")}, false, health.Verdict{Advice: health.Keep, Same: 2}, true},
		{"is behind, and is believed about tags", health.Source{Tags: true, Samples: got("sha256:a", "sha256:x")}, false,
			health.Verdict{health.Distrust, "has other digests than expected for b", 1, 1}, true},
		{"is behind, and is not", health.Source{Samples: got("sha256:x", "sha256:x")}, false,
			health.Verdict{health.Keep, "has other digests than expected for a, b, which does no harm: it is not believed about tags", 0, 2}, true},
		{"has one of them", health.Source{Samples: append(failed(fault.NotFound), got("sha256:a", "sha256:b")[1])}, false,
			health.Verdict{Advice: health.Keep, Same: 1}, true},
		{"serves spoiled bytes, if only once", health.Source{Samples: append(failed(fault.Corrupt), got("sha256:a", "sha256:b")...)}, false,
			health.Verdict{health.Drop, "serves spoiled bytes: seen", 2, 0}, true},
		{"has no name any more", health.Source{Samples: failed(fault.DNS, fault.DNS)}, false,
			health.Verdict{Advice: health.Drop, Wrong: "has a name that does not resolve: seen"}, false},
		{"has no name, and nothing else has", health.Source{Samples: failed(fault.DNS)}, true,
			health.Verdict{Advice: health.Later, Wrong: "has a name that does not resolve: seen"}, false},
		{"is gone, and served a build", health.Source{Samples: failed(fault.Connection), LastGood: last}, false,
			health.Verdict{Advice: health.Later, Wrong: "cannot be reached, or breaks the connection: seen"}, false},
		{"answers with pages", health.Source{Samples: failed(fault.HTML, fault.HTML)}, false,
			health.Verdict{Advice: health.Drop, Wrong: "answers with an HTML page: seen"}, true},
		{"has none of them", health.Source{Samples: failed(fault.NotFound, fault.NotFound)}, false,
			health.Verdict{Advice: health.Drop, Wrong: "has none of the images that it was asked for"}, true},
		{"is silent", health.Source{Samples: failed(fault.Timeout)}, false,
			health.Verdict{Advice: health.Later, Wrong: "does not answer: seen"}, false},
		{"has an outage", health.Source{Samples: failed(fault.Outage)}, false,
			health.Verdict{Advice: health.Later, Wrong: "reports an outage: seen"}, true},
		{"fails in two ways", health.Source{Samples: failed(fault.Outage, fault.DNS)}, false,
			health.Verdict{Advice: health.Later, Wrong: "reports an outage: seen"}, true},
		{"was asked for nothing", health.Source{}, false,
			health.Verdict{Advice: health.Later, Wrong: "was asked for nothing: name an image that it should have"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, health.Judge(tt.mirror, expected, !tt.offline)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if tt.mirror.Reachable() != tt.reachable {
				t.Errorf("got reachable %v", tt.mirror.Reachable())
			}
		})
	}
	if got := (health.Source{Samples: append(failed(fault.Outage), got("a", "b")...)}).Took(); got != time.Millisecond {
		t.Errorf("got %v, want that of the fastest answer", got)
	}
}
