package outlast_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// A hub is a registry with images for two platforms.
type hub struct {
	t      *testing.T
	server *httptest.Server
	host   string
	store  string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, store: filepath.Join(t.TempDir(), "store")}
	h.server = httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(h.server.Close)
	h.host = strings.TrimPrefix(h.server.URL, "http://")
	return h
}

// push gives a tag a new image, and returns the digest of its index.
func (h *hub) push(repo string) string {
	h.t.Helper()
	index, err := random.Index(1000, 2, 2)
	if err != nil {
		h.t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		h.t.Fatal(err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		desc := manifest.Manifests[i]
		img, err := index.Image(desc.Digest)
		if err != nil {
			h.t.Fatal(err)
		}
		desc.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		index = mutate.AppendManifests(mutate.RemoveManifests(index, func(d v1.Descriptor) bool { return d.Digest == desc.Digest }),
			mutate.IndexAddendum{Add: img, Descriptor: desc})
	}
	ref, err := name.ParseReference(h.host + "/" + repo)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		h.t.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	return d.String()
}

// target is a build of a Dockerfile in dir.
func (h *hub) target(dir, dockerfile string, args ...string) outlast.Target {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		h.t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Env: []string{"HOME=" + h.t.TempDir(), "OUTLAST_STORE_PATH=" + h.store, "OUTLAST_FETCH_BUDGET=10ms"}})
	if err != nil {
		h.t.Fatal(err)
	}
	return outlast.Target{Args: append(args, dir), Env: []string{}, Settings: loaded.Settings}
}

func (h *hub) lock(target outlast.Target, mode outlast.LockMode) outlast.Locking {
	h.t.Helper()
	l, err := outlast.LockImages(h.t.Context(), target, mode)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// states are those of the images, by repository and tag.
func states(l outlast.Locking) map[string]outlast.LockState {
	all := make(map[string]outlast.LockState)
	for _, i := range l.Images {
		_, short, _ := strings.Cut(i.Ref, "/")
		all[short] = i.State
	}
	return all
}

func TestLock(t *testing.T) {
	h := newHub(t)
	first := h.push("base:1")
	h.push("tool:2")
	dir := t.TempDir()
	one := fmt.Sprintf("FROM %s/base:1\n", h.host)
	target := h.target(dir, one, "--platform=linux/amd64,linux/arm64")

	want := func(l outlast.Locking, wrote bool, want map[string]outlast.LockState) {
		t.Helper()
		if diff := cmp.Diff(want, states(l)); diff != "" || l.Wrote != wrote {
			t.Errorf("wrote %v, states:\n%s", l.Wrote, diff)
		}
	}
	if l := h.lock(target, outlast.LockCheck); l.Complete() || l.Wrote {
		t.Errorf("nothing is locked, and a check says %+v", l)
	}
	if _, err := os.Stat(filepath.Join(dir, outlast.LockName)); err == nil {
		t.Error("a check wrote a file")
	}
	want(h.lock(target, outlast.LockAdd), true, map[string]outlast.LockState{"base:1": outlast.Added})
	text, err := os.ReadFile(filepath.Join(dir, outlast.LockName))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := outlast.ParseLock(text)
	if err != nil {
		t.Fatal(err)
	}
	got := lock.Images[h.host+"/base:1"]
	if got.Digest.String() != first || len(got.Platforms) != 2 || got.Platforms["linux/arm64"] == "" {
		t.Errorf("got %+v, want digest %s and two platforms", got, first)
	}
	if l := h.lock(target, outlast.LockCheck); !l.Complete() {
		t.Errorf("all is locked, and a check says %+v", l)
	}

	// The tag moves on: the lock stays, until it is updated.
	second := h.push("base:1")
	want(h.lock(target, outlast.LockAdd), false, map[string]outlast.LockState{"base:1": outlast.Kept})
	moved := h.lock(target, outlast.LockCheck)
	want(moved, false, map[string]outlast.LockState{"base:1": outlast.Moved})
	if !moved.Complete() || moved.Images[0].Other.String() != second || moved.Images[0].Digest.String() != first {
		t.Errorf("got %+v, want the old digest, and the new one beside it", moved.Images[0])
	}
	want(h.lock(target, outlast.LockUpdate), true, map[string]outlast.LockState{"base:1": outlast.Updated})

	// Another image joins, and the first is needed no more.
	target = h.target(dir, fmt.Sprintf("FROM %s/tool:2\n", h.host))
	want(h.lock(target, outlast.LockAdd), true, map[string]outlast.LockState{"tool:2": outlast.Added, "base:1": outlast.Unused})
}

func TestLockTakesNoOldAnswer(t *testing.T) {
	h := newHub(t)
	h.push("base:1")
	dir := t.TempDir()
	target := h.target(dir, fmt.Sprintf("FROM %s/base:1\n", h.host))
	if _, err := outlast.Warm(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	h.server.Close()
	l, err := outlast.LockImages(t.Context(), target, outlast.LockAdd)
	if err == nil || !strings.Contains(err.Error(), "nobody can say what it stands for now") {
		t.Errorf("got %v, want an error that says who cannot answer", err)
	}
	if l.Wrote || l.Complete() {
		t.Errorf("an answer that nobody confirmed was locked: %+v", l)
	}
}

func TestLockMistakes(t *testing.T) {
	h := newHub(t)
	dir := t.TempDir()
	target := h.target(dir, "FROM scratch\n")
	if err := os.WriteFile(filepath.Join(dir, outlast.LockName), []byte("{oops"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := outlast.LockImages(t.Context(), target, outlast.LockAdd)
	if fault.Of(err) != fault.Config || !strings.Contains(err.Error(), outlast.LockName+": line 1: ") {
		t.Errorf("got %v, want the file, the line, and kind %s", err, fault.Config)
	}
	target.Args = []string{"https://git.example.com/team/app.git"}
	if _, err := outlast.LockImages(t.Context(), target, outlast.LockAdd); fault.Of(err) != fault.Config {
		t.Errorf("got %v for a Dockerfile that is elsewhere, want kind %s", err, fault.Config)
	}
}

func TestWarm(t *testing.T) {
	h := newHub(t)
	h.push("base:1")
	h.push("tool:2")
	dir := t.TempDir()
	target := h.target(dir, fmt.Sprintf("FROM %[1]s/base:1 AS one\nFROM %[1]s/tool:2\nCOPY --from=one / /\nRUN apt-get update\n", h.host), "--platform=linux/amd64")
	w, err := outlast.Warm(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Images) != 2 || w.Images[0].Bytes < 2000 || w.Fetched < 4000 || len(w.Left) != 1 || w.Left[0].Ref != "apt" {
		t.Errorf("got %+v", w)
	}
	again, err := outlast.Warm(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Images[0].Bytes != w.Images[0].Bytes || again.Fetched >= 2000 {
		t.Errorf("the second time fetched %d bytes of %+v", again.Fetched, again.Images)
	}

	// With the registry gone, all that a build needs is there.
	h.server.Close()
	if cold, err := outlast.Warm(t.Context(), target, nil); err != nil || cold.Fetched != 0 {
		t.Errorf("from the store alone: %+v, %v", cold, err)
	}
	other := h.target(t.TempDir(), fmt.Sprintf("FROM %s/other:3\n", h.host))
	if w, err := outlast.Warm(t.Context(), other, nil); err == nil || w.Images[0].Err == "" {
		t.Errorf("got %+v and no error for an image that nobody has", w)
	}
}

func TestALockedBuildTakesThatDigest(t *testing.T) {
	h := newHub(t)
	first := h.push("base:1")
	dir := t.TempDir()
	target := h.target(dir, fmt.Sprintf("FROM %s/base:1\nRUN true\n", h.host))
	h.lock(target, outlast.LockAdd)
	h.push("base:1")
	e := &enginetest.Engine{Scripts: []enginetest.Script{{}}}
	var notes []string
	_, err := outlast.Build(t.Context(), outlast.Options{Args: []string{dir}, Env: []string{}, Settings: target.Settings, Engine: e,
		Note: func(line string) { notes = append(notes, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Requests()[0].Pins[h.host+"/base:1"].String(); got != first {
		t.Errorf("the engine is given the digest %q, want the locked one, %s", got, first)
	}
	if len(notes) > 0 {
		t.Errorf("got notes %q of a build that is locked", notes)
	}

	// What is not locked is said, where there is a lock.
	target = h.target(dir, fmt.Sprintf("FROM %[1]s/base:1\nCOPY --from=%[1]s/tool:2 / /\n", h.host))
	_, err = outlast.Build(t.Context(), outlast.Options{Args: []string{dir}, Env: []string{}, Settings: target.Settings, Engine: &enginetest.Engine{Scripts: []enginetest.Script{{}}},
		Note: func(line string) { notes = append(notes, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"outlast.lock does not lock " + h.host + "/tool:2: outlast lock adds it"}; !slices.Equal(notes, want) {
		t.Errorf("got notes %q, want %q", notes, want)
	}
}

func TestABuildOffline(t *testing.T) {
	s := newStage(t)
	asked := 0
	s.broken = func(http.ResponseWriter) bool { asked++; return false }
	offline := func() (record.Run, error) {
		return outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings,
			Engine: &enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}, Offline: true,
			Survey: func(context.Context, outlast.SurveyOptions) health.Scorecard {
				t.Error("the services were measured")
				return health.Scorecard{}
			}})
	}
	run, err := offline()
	if run.Outcome != record.NoSource || err == nil || !strings.Contains(err.Error(), s.host+"/base:1: not in the local store, and this build is offline") {
		t.Errorf("with an empty store: got %s, %v", run.Outcome, err)
	}
	if asked != 0 {
		t.Errorf("%d requests were made offline", asked)
	}
	if _, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}); err != nil {
		t.Fatal(err)
	}
	asked = 0
	run, err = offline()
	if err != nil || run.Outcome != record.Built || run.Strategy != "emergency" || len(run.Stale) != 1 || asked != 0 {
		t.Errorf("with a warm store: got %s, %v, strategy %s, stale %v, after %d requests", run.Outcome, err, run.Strategy, run.Stale, asked)
	}
}
