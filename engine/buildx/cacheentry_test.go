package buildx_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine/buildx"
)

func TestReadCaches(t *testing.T) {
	type entries = []buildx.CacheEntry
	for _, tt := range []struct {
		name, in string
		want     entries
		out      []string
	}{
		{"attributes", "type=registry,ref=example.com/app:cache,mode=max",
			entries{{"registry", map[string]string{"ref": "example.com/app:cache", "mode": "max"}}}, []string{"type=registry,mode=max,ref=example.com/app:cache"}},
		{"names in capitals", "TYPE=local,Dest=/A", entries{{"local", map[string]string{"dest": "/A"}}}, []string{"type=local,dest=/A"}},
		{"a reference", "user/app:cache", entries{{"registry", map[string]string{"ref": "user/app:cache"}}}, []string{"type=registry,ref=user/app:cache"}},
		{"references", "user/app:a,user/app:b", entries{{"registry", map[string]string{"ref": "user/app:a"}}, {"registry", map[string]string{"ref": "user/app:b"}}},
			[]string{"type=registry,ref=user/app:a", "type=registry,ref=user/app:b"}},
		{"a quoted path", `type=local,"dest=/a, ""b"""`, entries{{"local", map[string]string{"dest": `/a, "b"`}}}, []string{`type=local,"dest=/a, ""b"""`}},
		{"no attributes", "type=inline", entries{{"inline", map[string]string{}}}, []string{"type=inline"}},
		{"no type", "ref=x", nil, nil},
		{"no attribute among attributes", "type=gha,scope", nil, nil},
		{"an open quote", `type=local,"dest=/a`, nil, nil},
		{"nothing", "", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := buildx.ReadCaches(tt.in)
			if ok != (tt.want != nil) {
				t.Fatalf("got %v, %v", got, ok)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			for i, e := range got {
				if e.String() != tt.out[i] {
					t.Errorf("got %s, want %s", e, tt.out[i])
				}
				again, ok := buildx.ReadCaches(e.String())
				if !ok || !cmp.Equal(again, entries{e}) {
					t.Errorf("%s: got %v, %v when it is read again", e, again, ok)
				}
			}
		})
	}
	e := buildx.CacheEntry{Type: "local"}
	if got := e.With("dest", "/a").With("mode", "max").With("dest", "").String(); got != "type=local,mode=max" {
		t.Errorf("got %s", got)
	}
}
