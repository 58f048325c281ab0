package record_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// An answer is one call of Answered, with the note that is wanted.
type answer struct {
	endpoint, serves string
	kind             fault.Kind
	want             string
}

func TestLedgerTellsEachFailureOnce(t *testing.T) {
	var l record.Ledger
	for _, a := range []answer{
		{"mirror.example.com", "docker.io", fault.None, ""},
		{"mirror.example.com", "docker.io", fault.Timeout, "mirror.example.com does not answer"},
		{"mirror.example.com", "docker.io", fault.Timeout, ""},
		{"mirror.example.com", "gcr.io", fault.Timeout, ""},
		{"mirror.example.com", "docker.io", fault.HTML, "mirror.example.com answers with an HTML page"},
		{"other.example.com", "docker.io", fault.NotFound, ""},
		{"other.example.com", "docker.io", fault.Canceled, ""},
	} {
		if got := l.Answered(a.endpoint, a.serves, a.kind, 10, errors.New("why")); got != a.want {
			t.Errorf("%s, %s: got note %q, want %q", a.endpoint, a.kind, got, a.want)
		}
	}
	good := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	first, second := l.Stale("docker.io/library/golang:1.26", good), l.Stale("docker.io/library/golang:1.26", good)
	if first == "" || second != "" {
		t.Errorf("got %q, then %q, want a note once", first, second)
	}
	var r record.Run
	l.Write(&r)
	want := []record.Service{
		{Endpoint: "mirror.example.com", Serves: "docker.io", Asked: 4, Bytes: 40, Last: "why", Failed: map[fault.Kind]int{fault.Timeout: 2, fault.HTML: 1}},
		{Endpoint: "mirror.example.com", Serves: "gcr.io", Asked: 1, Bytes: 10, Last: "why", Failed: map[fault.Kind]int{fault.Timeout: 1}},
		{Endpoint: "other.example.com", Serves: "docker.io", Asked: 2, GivenUp: 1, Bytes: 20, Last: "why", Failed: map[fault.Kind]int{fault.NotFound: 1}},
	}
	if diff := cmp.Diff(want, r.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if len(r.Notes) != 3 || len(r.Stale) != 1 {
		t.Errorf("got notes %q and stale %v, want 3 and 1", r.Notes, r.Stale)
	}
}

func TestDetours(t *testing.T) {
	failing := record.Service{Endpoint: "bad.example.com", Serves: "docker.io", Asked: 3, Failed: map[fault.Kind]int{fault.Timeout: 2, fault.HTML: 1}}
	partly := record.Service{Endpoint: "bad.example.com", Serves: "docker.io", Asked: 3, Failed: map[fault.Kind]int{fault.Timeout: 1}}
	good := record.Service{Endpoint: "good.example.com", Serves: "docker.io", Asked: 3}
	elsewhere := record.Service{Endpoint: "good.example.com", Serves: "gcr.io", Asked: 3}
	for _, tt := range []struct {
		name     string
		outcome  record.Outcome
		services []record.Service
		want     []string
	}{
		{"all well", record.Built, []record.Service{good}, nil},
		{"a 404 of a mirror is no detour", record.Built, []record.Service{{Endpoint: "m", Serves: "docker.io", Asked: 1, Failed: map[fault.Kind]int{fault.NotFound: 1}}}, nil},
		{"another served", record.Built, []record.Service{failing, good},
			[]string{"bad.example.com does not answer (3 of 3 requests): served by good.example.com"}},
		{"who serves something else did not", record.Built, []record.Service{failing, elsewhere},
			[]string{"bad.example.com does not answer (3 of 3 requests): served from the local store"}},
		{"one that others overtook now and then is well", record.Built, []record.Service{{Endpoint: "m", Serves: "docker.io", Asked: 3, GivenUp: 2}, good}, nil},
		{"one that never said a word", record.Built, []record.Service{{Endpoint: "m", Serves: "docker.io", Asked: 2, GivenUp: 2}, good},
			[]string{"m does not answer in time (2 of 2 requests): served by good.example.com"}},
		{"asked again", record.Built, []record.Service{partly},
			[]string{"bad.example.com does not answer (1 of 3 requests): asked again"}},
		{"nobody", record.NoSource, []record.Service{failing},
			[]string{"bad.example.com does not answer (3 of 3 requests): no other source had it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := record.Run{Outcome: tt.outcome, Services: tt.services}.Detours()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLedgerKnowsOriginsAndHowLongGoodAnswersTook(t *testing.T) {
	var l record.Ledger
	l.Took("r.example.com", "docker.io", true, fault.None, time.Second)
	l.Took("r.example.com", "docker.io", true, fault.Timeout, time.Hour)
	l.Took("m.example.com", "docker.io", false, fault.None, time.Second)
	var r record.Run
	l.Write(&r)
	if s := r.Services[0]; !s.Origin || s.Latency.Count() != 1 {
		t.Errorf("got %+v, want an origin with one time", s)
	}
	if s := r.Services[1]; s.Origin || s.Latency.Count() != 1 {
		t.Errorf("got %+v, want a mirror with one time", s)
	}
}
