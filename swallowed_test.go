package outlast_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/config"
)

// A download that failed in a step that ended well, and what a later step says
// of it: the stage of both is not taken from the builder's cache, and no other.
func TestADownloadThatFailedInSilence(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	done := func(v *client.Vertex) { v.Started, v.Completed = &at, &at }
	const noName = "--no-cache-filter=,-" // of buildx, for all stages without a name
	const (
		apt   = "Err:1 http://deb.example.com/debian trixie InRelease\n  503  Service Unavailable\nReading package lists...\nW: Failed to fetch http://deb.example.com/debian/dists/trixie/InRelease  503  Service Unavailable\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n"
		noJQ  = "Reading package lists...\nE: Unable to locate package jq\n"
		pip   = "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'ReadTimeoutError(\"HTTPSConnectionPool(host='pypi.example.com', port=443): Read timed out. (read timeout=15)\")': /simple/flask/\n"
		noPip = "ERROR: Could not find a version that satisfies the requirement flask (from versions: none)\nERROR: No matching distribution found for flask\n"
		curl  = "curl: (22) The requested URL returned error: 503\n"
		noBin = "/bin/sh: 1: poetry: not found\n"
		apk   = "fetch https://dl.example.com/alpine/v3.22/main/x86_64/APKINDEX.tar.gz\nWARNING: fetching https://dl.example.com/alpine/v3.22/main: temporary error (try again later)\n"
		noApk = "ERROR: unable to select packages:\n  jq (no such package):\n    required by: world[jq]\n"
	)
	for _, tt := range []struct {
		name          string
		earlier, said string // a step that ended well, and its output
		failed, wrote string // the step that failed, and its output
		want          []string
	}{
		{"apt-get update that lost an index", "[build 2/4] RUN apt-get update", apt, "[build 3/4] RUN apt-get install -y jq", noJQ, []string{"--no-cache-filter=build"}},
		{"the same in a stage without a name", "[2/4] RUN apt-get update", apt, "[3/4] RUN apt-get install -y jq", noJQ, []string{noName}},
		{"the same in one of several without names", "[stage-1 2/4] RUN apt-get update", apt, "[stage-1 3/4] RUN apt-get install -y jq", noJQ, []string{noName}},
		{"the same for a platform", "[linux/arm64 build 2/4] RUN apt-get update", apt, "[linux/arm64 build 3/4] RUN apt-get install -y jq", noJQ, []string{"--no-cache-filter=build"}},
		{"the same across platforms", "[linux/amd64->arm64 build 2/4] RUN apt-get update", apt, "[linux/amd64->arm64 build 3/4] RUN apt-get install -y jq", noJQ, []string{"--no-cache-filter=build"}},
		{"a download piped into a shell", "[tools 2/3] RUN curl -sS https://install.example.com | sh || true", curl, "[tools 3/3] RUN poetry install", noBin, []string{"--no-cache-filter=tools"}},
		{"an index of apk", "[2/3] RUN apk update || true", apk, "[3/3] RUN apk add --no-network jq", noApk, []string{noName}},
		{"an index of pip", "[py 2/3] RUN pip download flask || true", pip, "[py 3/3] RUN pip install --no-index flask", noPip, []string{"--no-cache-filter=py"}},
		{"a step of another stage is not at fault", "[other 2/2] RUN apt-get update", apt, "[build 3/4] RUN apt-get install -y jq", noJQ, nil},
		{"nothing failed before: a slip of the user", "[build 2/4] RUN apt-get update", "Reading package lists...\n", "[build 3/4] RUN apt-get install -y jq", noJQ, nil},
		{"what the user copies is no download", "[build 2/4] COPY . .", apt, "[build 3/4] RUN apt-get install -y jq", noJQ, nil},
		{"a compile error is one, whatever came before", "[build 2/4] RUN apt-get update", apt, "[build 3/4] RUN go build .", "# example.com/x\n./main.go:7:2: undefined: y\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := config.Load(config.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				script := enginetest.Script{
					Events: []engine.Event{
						enginetest.Vertex(tt.earlier, done), enginetest.Log(tt.earlier, tt.said),
						enginetest.Vertex(tt.failed, func(v *client.Vertex) { v.Started = &at }), enginetest.Log(tt.failed, tt.wrote),
						enginetest.Vertex(tt.failed, func(v *client.Vertex) { v.Started, v.Completed, v.Error = &at, &at, exit1 }),
					},
					Result: engine.Result{Outcome: engine.Failed, Failure: &engine.Failure{Message: exit1, Step: 1}},
				}
				e := &enginetest.Engine{Scripts: []enginetest.Script{script, {}}}
				outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: dir, Env: []string{}, Settings: loaded.Settings, Engine: e, Direct: true})
				requests := e.Requests()
				var got []string
				for _, flag := range requests[len(requests)-1].Flags {
					if strings.HasPrefix(flag, "--no-cache") {
						got = append(got, flag)
					}
				}
				if !slices.Equal(got, tt.want) || (len(requests) == 2) != (tt.want != nil) {
					t.Errorf("got %d attempts, the last with %q, want %q", len(requests), got, tt.want)
				}
			})
		})
	}
}
