package record_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
)

func TestRedactedLeavesNoSecretInAnyField(t *testing.T) {
	const planted = "Hunter2Pl4nted9z"
	now := time.Now()
	r := record.Run{
		ID: "a", Version: "v1", Started: now, Ended: now.Add(time.Second), Outcome: record.Failed, Strategy: "optimal",
		Error:    "https://bob:" + planted + "@registry.example.com/v2/: EOF",
		Why:      []string{"NPM_TOKEN=" + planted},
		Builder:  "box (remote, tcp://" + planted + "@box.example.com)",
		Attempts: []record.Attempt{{Started: now, Ended: now, Kind: fault.Auth, Cause: "Authorization: Bearer " + planted, Steps: 3}},
		Services: []record.Service{{Endpoint: "mirror.example.com", Asked: 2, Bytes: 1 << 40, Failed: map[fault.Kind]int{fault.Auth: 1}, Last: "GET /x?sig=" + planted}},
		Images:   []record.Image{{Digest: "sha256:aa", Tags: []string{"app:" + planted}}},
		Notes:    []string{"said " + planted},

		Substitutes: map[string]string{"bob:" + planted + "@registry.example.com/a:1": "b:" + planted},
	}
	got := r.Redacted(redact.Of("PASSWORD=" + planted).Text)
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), planted) {
		t.Errorf("got %s, which holds the secret", data)
	}
	same := r.Redacted(func(s string) string { return s })
	if diff := cmp.Diff(r, same); diff != "" {
		t.Errorf("a record without secrets changes: -want +got\n%s", diff)
	}
	if got.Took() != time.Second || got.Services[0].Bytes != 1<<40 {
		t.Errorf("got %+v", got)
	}
}
