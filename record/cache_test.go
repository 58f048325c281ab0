package record_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/record"
)

func TestSumCaches(t *testing.T) {
	var one, two record.Run
	one.Use(record.CacheUse{Tier: "registry", Where: "r/app:cache", Asked: 1, Hit: 1, Read: 10})
	one.Use(record.CacheUse{Tier: "local", Where: "/cache", Written: 1})
	one.Use(record.CacheUse{Tier: "registry", Where: "r/app:cache", Failed: 1, Last: "silence", Took: time.Second})
	two.Use(record.CacheUse{Tier: "registry", Where: "r/app:cache", Asked: 1, Sent: 5, Written: 1})
	want := []record.CacheUse{
		{Tier: "registry", Where: "r/app:cache", Asked: 2, Hit: 1, Read: 10, Sent: 5, Written: 1, Failed: 1, Last: "silence", Took: time.Second},
		{Tier: "local", Where: "/cache", Written: 1},
	}
	if diff := cmp.Diff(want, record.SumCaches([]record.Run{one, two})); diff != "" {
		t.Error(diff)
	}
}
