package outlast_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast"
)

func TestLockText(t *testing.T) {
	d := digest.FromString("golang")
	want := outlast.Lock{Version: 1, Images: map[string]outlast.Locked{
		"docker.io/library/golang:1.26":     {Digest: d, Platforms: map[string]digest.Digest{"linux/amd64": d, "linux/arm64": d}},
		"localhost:5000/app:1":              {Digest: d},
		"gcr.io/distroless/static:nonroot":  {Digest: d},
		"registry.example.com/team/tool:v1": {Digest: d},
	}}
	text := want.Text()
	got, err := outlast.ParseLock(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := got.Text(); string(again) != string(text) {
		t.Errorf("the same lock has another text:\n%s", again)
	}
	if empty, err := outlast.ParseLock(outlast.Lock{}.Text()); err != nil || len(empty.Images) != 0 {
		t.Errorf("an empty lock: got %v, %v", empty, err)
	}
}

func TestLockMistakesNameTheLine(t *testing.T) {
	d := digest.FromString("x").String()
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", "{\n  \"version\": 1,\n  oops", "line 3: "},
		{"an unknown key", "{\"version\": 1,\n \"imagos\": {}}", "line 2: json: unknown field \"imagos\""},
		{"a number for a text", "{\"version\": 1, \"images\":\n {\"docker.io/library/a:1\": {\"digest\": 7}}}", "line 2: "},
		{"another version", `{"version": 2, "images": {}}`, "version 2: this program knows version 1"},
		{"a short reference", "{\"version\": 1, \"images\": {\n\"golang:1.26\": {\"digest\": \"" + d + "\"}}}", "line 2: \"golang:1.26\" is no reference in full"},
		{"a reference with a digest", `{"version": 1, "images": {"docker.io/library/a@` + d + `": {"digest": "` + d + `"}}}`, "has a digest already"},
		{"no digest", "{\"version\": 1,\n\n\"images\": {\"docker.io/library/a:1\": {\"digest\": \"latest\"}}}", "line 3: docker.io/library/a:1: \"latest\" is no digest"},
		{"a spoiled digest of a platform", `{"version": 1, "images": {"docker.io/library/a:1": {"digest": "` + d + `", "platforms": {"linux/amd64": "sha256:1"}}}}`, "is no digest"},
		{"more behind the end", `{"version": 1, "images": {}} {}`, "something follows the end"},
		{"nothing", "", "line 1: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := outlast.ParseLock([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(`{"version":1,"images":{"docker.io/library/a:1":{"digest":"` + digest.FromString("x").String() + `"}}}`))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := outlast.ParseLock(text)
		if err != nil {
			return
		}
		again, err := outlast.ParseLock(l.Text())
		if err != nil {
			t.Fatalf("what was read is written so that it cannot be read: %v", err)
		}
		if string(again.Text()) != string(l.Text()) {
			t.Error("what was written is read as something else")
		}
	})
}
