// Package runs makes records of builds that never were, the same ones each
// time: for golden files of reports, for pictures of the dashboard, and for
// measuring what many of them cost. It is no part of the product.
package runs

import (
	"fmt"
	"time"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/record"
)

// Start is when Outage began.
var Start = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

const (
	digestIndex = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	digestAMD   = "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
	digestARM   = "sha256:fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13"
)

// card is an assessment with a registry that hangs and one that sends a page.
func card(at time.Time) health.Scorecard {
	return health.Scorecard{Known: true, Taken: at, Took: 2 * time.Second, Categories: []health.Category{
		{Name: health.ActionsCache, Points: 20},
		{Name: health.Registries, Points: 30, Checks: []health.Check{
			{Name: "gcr.io", Target: "https://gcr.io/v2/", Host: "gcr.io", For: "gcr.io", Needed: true, Took: 84 * time.Millisecond, Kind: fault.HTML, Detail: "status 400: a web page, \"Our services aren't available right now\""},
			{Name: "docker.io", Target: "https://registry-1.docker.io/v2/", Host: "registry-1.docker.io", For: "docker.io", Needed: true, Took: 2 * time.Second, Kind: fault.Timeout, Detail: "no answer within 2s"},
			{Name: "ghcr.io", Target: "https://ghcr.io/v2/", Host: "ghcr.io", For: "ghcr.io", OK: true, Took: 141 * time.Millisecond},
		}},
		{Name: health.GoProxies, Points: 25, Checks: []health.Check{
			{Name: "goproxy.example.com", Target: "https://goproxy.example.com", Host: "goproxy.example.com", For: "go", OK: true, Needed: true, Took: 63 * time.Millisecond}}},
		{Name: health.Names, Points: 15, Checks: []health.Check{
			{Name: "gcr.io", OK: true, Needed: true, Took: 4 * time.Millisecond}, {Name: "registry-1.docker.io", OK: true, Needed: true, Took: 7 * time.Millisecond}}},
		{Name: health.Internet, Points: 10, Checks: []health.Check{{Name: "192.0.2.1:443", OK: true, Took: 12 * time.Millisecond}}},
	}}
}

// after adds to a time.
func after(at time.Time, d time.Duration) time.Time { return at.Add(d) }

// Step is a step that began and ended so many milliseconds after a time.
func Step(name string, at time.Time, from, to int) record.Step {
	return record.Step{Name: name, Started: after(at, time.Duration(from)*time.Millisecond), Ended: after(at, time.Duration(to)*time.Millisecond)}
}

func cached(s record.Step) record.Step { s.Cached, s.Ended = true, s.Started; return s }

// Outage is a build for two platforms that was carried through an outage: its
// first attempt failed with a module proxy, its second was built.
func Outage() record.Run {
	first, second := after(Start, 2100*time.Millisecond), after(Start, 21400*time.Millisecond)
	failed := Step("[linux/amd64 build 4/6] RUN go mod download", first, 3900, 16800)
	failed.Error = `process "/bin/sh -c go mod download" did not complete successfully: exit code: 1`
	return record.Run{
		ID: "K7QW2MZP4RB6TD3X", Version: "v1.0.0", Started: Start, Ended: after(Start, 78300*time.Millisecond),
		Outcome: record.Built, Builder: "ci (docker-container, the current one)", Strategy: "resilient",
		Why:  []string{"the strategy is resilient: one below the last attempt's, which failed at a service", "what the build needs has 62 %, at least 60 is resilient", "gcr.io goes by its mirror: the origin answers with an HTML page"},
		Card: card(Start),
		Needs: []record.Need{
			{Kind: "image", Ref: "docker.io/library/golang:1.26", Platform: "linux/amd64", Line: 2},
			{Kind: "image", Ref: "gcr.io/distroless/static:nonroot", Line: 12},
			{Kind: "packages", Ref: "go", Line: 6}},
		Attempts: []record.Attempt{
			{Started: first, Ended: after(first, 17200*time.Millisecond), Strategy: "optimal", Kind: fault.Build, Steps: 6, Cached: 1, Caches: []string{"registry", "local"},
				Cause: failed.Error,
				Diagnosis: &diagnose.Diagnosis{Kind: fault.Outage, Service: "go-proxy", Endpoint: "goproxy.example.com", Retryable: true, FallbackHelps: true, Confidence: 0.96, Pattern: "go-proxy-status",
					Evidence: diagnose.Evidence{Line: 3, Text: "go: example.com/lib@v1.4.0: reading https://goproxy.example.com/example.com/lib/@v/v1.4.0.zip: 503 Service Unavailable"}, Hint: fault.Outage.Hint()},
				Place: &record.Place{File: "Dockerfile", Line: 6, Excerpt: "   4 |     WORKDIR /src\n   5 |     COPY go.mod go.sum ./\n   6 | >>> RUN go mod download\n   7 |     COPY . ."},
				Log:   []string{"go: downloading example.com/lib v1.4.0", "go: downloading example.com/text v0.3.8", "go: example.com/lib@v1.4.0: reading https://goproxy.example.com/example.com/lib/@v/v1.4.0.zip: 503 Service Unavailable"},
				Ran: []record.Step{
					Step("[internal] load build definition from Dockerfile", first, 20, 90),
					Step("[linux/amd64 internal] load metadata for docker.io/library/golang:1.26", first, 100, 1900),
					Step("[linux/amd64 build 1/6] FROM docker.io/library/golang:1.26", first, 1900, 3600),
					cached(Step("[linux/amd64 build 2/6] WORKDIR /src", first, 3700, 3700)),
					Step("[linux/amd64 build 3/6] COPY go.mod go.sum ./", first, 3700, 3850), failed}},
			{Started: second, Ended: after(second, 56700*time.Millisecond), Strategy: "resilient", Waited: 1900 * time.Millisecond, Steps: 9, Cached: 3, Caches: []string{"local", "registry"},
				Ran: []record.Step{
					Step("[internal] load build definition from Dockerfile", second, 20, 80),
					Step("[linux/amd64 internal] load metadata for gcr.io/distroless/static:nonroot", second, 90, 700),
					cached(Step("[linux/amd64 build 1/6] FROM docker.io/library/golang:1.26", second, 700, 700)),
					cached(Step("[linux/amd64 build 2/6] WORKDIR /src", second, 700, 700)),
					cached(Step("[linux/amd64 build 3/6] COPY go.mod go.sum ./", second, 710, 710)),
					Step("[linux/amd64 build 4/6] RUN go mod download", second, 720, 14200),
					Step("[linux/amd64 build 5/6] COPY . .", second, 14200, 14500),
					Step("[linux/amd64 build 6/6] RUN go build -o /service ./cmd/service", second, 14500, 50100),
					Step("exporting to oci image format", second, 50200, 56600)}}},
		Services: []record.Service{
			{Endpoint: "registry-1.docker.io", Serves: "docker.io", Asked: 3, GivenUp: 3},
			{Endpoint: "mirror.example.com", Serves: "docker.io", Asked: 14, Bytes: 96_400_000, Failed: map[fault.Kind]int{fault.Corrupt: 2}, Last: "sha256:ab12… does not match: got sha256:cd34…"},
			{Endpoint: "mirror2.example.com", Serves: "docker.io", Asked: 9, Bytes: 71_200_000},
			{Endpoint: "gcr.io", Serves: "gcr.io", Asked: 2, Bytes: 1420, Failed: map[fault.Kind]int{fault.HTML: 2}, Last: "status 400: a web page came where an API was asked"},
			{Endpoint: "gcr-mirror.example.com", Serves: "gcr.io", Asked: 4, Bytes: 1_940_000},
			{Endpoint: "goproxy.example.com", Serves: "go", Asked: 31, Bytes: 8_210_000, Failed: map[fault.Kind]int{fault.Outage: 4}, Last: "503 Service Unavailable"},
			{Endpoint: "goproxy2.example.com", Serves: "go", Asked: 4, Bytes: 2_030_000}},
		Stale:  []record.Stale{{Name: "docker.io/library/golang:1.26", Good: Start.Add(-26 * time.Hour)}},
		Images: []record.Image{{Digest: digestIndex, Tags: []string{"ghcr.io/acme/service:1.4.0"}, Platforms: []record.Platform{{Name: "linux/amd64", Digest: digestAMD, Size: 12_480_000}, {Name: "linux/arm64", Digest: digestARM, Size: 11_730_000}}}},
		Notes:  []string{"registry-1.docker.io does not answer", "mirror.example.com serves spoiled bytes", "gcr.io answers with an HTML page", "attempt 2 begins in 1.9s"},
	}
}

// Broken is a build that failed with the user's own mistake, at once.
func Broken() record.Run {
	at := after(Start, time.Hour)
	began := after(at, 400*time.Millisecond)
	failed := Step("[build 6/6] RUN go build -o /service ./cmd/service", began, 900, 7100)
	failed.Error = `process "/bin/sh -c go build -o /service ./cmd/service" did not complete successfully: exit code: 1`
	return record.Run{
		ID: "N3XDA7GUW5JQ2LCV", Version: "v1.0.0", Started: at, Ended: after(at, 7800*time.Millisecond), Outcome: record.Failed, Error: "exit code: 1",
		Builder: "ci (docker-container, the current one)", Strategy: "optimal", Why: []string{"what the build needs has 100 %, at least 80 is optimal"},
		Card:  health.Scorecard{Known: true, Taken: at, Categories: []health.Category{{Name: health.Registries, Points: 30, Checks: []health.Check{{Name: "docker.io", For: "docker.io", Host: "registry-1.docker.io", OK: true, Needed: true, Took: 120 * time.Millisecond}}}}},
		Needs: []record.Need{{Kind: "image", Ref: "docker.io/library/golang:1.26", Line: 2}},
		Attempts: []record.Attempt{{Started: began, Ended: after(began, 7300*time.Millisecond), Strategy: "optimal", Kind: fault.Build, Cause: failed.Error, Steps: 3, Cached: 1,
			Diagnosis: &diagnose.Diagnosis{Kind: fault.Compile, Service: "compile", UserError: true, Confidence: 0.98, Pattern: "go-compile",
				Evidence: diagnose.Evidence{Line: 2, Text: "cmd/service/main.go:41:2: undefined: serve"}, Hint: fault.Compile.Hint()},
			Place: &record.Place{File: "Dockerfile", Line: 8, Excerpt: "   7 |     COPY . .\n   8 | >>> RUN go build -o /service ./cmd/service\n   9 |     "},
			Log:   []string{"# example.com/service/cmd/service", "cmd/service/main.go:41:2: undefined: serve"},
			Ran:   []record.Step{cached(Step("[build 1/6] FROM docker.io/library/golang:1.26", began, 100, 100)), Step("[build 5/6] COPY . .", began, 200, 800), failed}}},
		Services: []record.Service{{Endpoint: "registry-1.docker.io", Serves: "docker.io", Asked: 2, Bytes: 3200}},
	}
}

// Many are n runs before a time, one every twenty minutes, the oldest first:
// builds with an outage in their midst, and looks at the services between them.
func Many(n int, before time.Time) []record.Run {
	var all []record.Run
	for i := range n {
		all = append(all, nth(i, n, before.Add(-time.Duration(n-i)*20*time.Minute)))
	}
	return all
}

// nth is run i of n: the outage is in the last third of those that a strip
// shows.
func nth(i, n int, at time.Time) record.Run {
	r := Outage()
	trouble := i >= n-24 && i < n-8
	switch {
	case i%7 == 3:
		r = record.Run{Kind: record.KindCheck, Outcome: record.Checked, Started: Start, Ended: Start.Add(2 * time.Second), Version: r.Version, Card: r.Card}
	case i%11 == 5:
		r = Broken()
	case trouble && i%3 == 1:
		r.Outcome, r.Strategy, r.Images, r.Error = record.NoSource, "emergency", nil, "gcr.io/distroless/static:nonroot: no source was left"
		r.Attempts = r.Attempts[:1]
	case !trouble:
		r = calm(r, i)
	}
	if !trouble && len(r.Card.Categories) > 1 {
		r.Card = well(r.Card)
	}
	r = moved(r, at)
	r.ID = fmt.Sprintf("RUN%08d", i)
	r.Context = record.Context{Repo: "github.com/acme/service", Branch: []string{"main", "main", "release-1.4", "faster-cache"}[i%4], Commit: fmt.Sprintf("%040x", 0xbead+i*7919), CI: "github", Job: "build"}
	return r
}

// calm is a build on a day on which nothing failed.
func calm(r record.Run, i int) record.Run {
	last := r.Attempts[1]
	last.Waited, last.Strategy = 0, "optimal"
	r.Strategy, r.Attempts, r.Notes, r.Stale = "optimal", []record.Attempt{last}, nil, nil
	r.Ended = last.Ended.Add(time.Duration(i%9) * time.Second)
	var services []record.Service
	for _, s := range r.Services {
		s.Failed, s.GivenUp, s.Last = nil, 0, ""
		s.Latency = record.Spread(nil).Add(time.Duration(40+i%60) * time.Millisecond).Add(time.Duration(90+i%200) * time.Millisecond)
		services = append(services, s)
	}
	r.Services = services
	return r
}

func well(c health.Scorecard) health.Scorecard {
	var categories []health.Category
	for _, g := range c.Categories {
		g.Checks = append([]health.Check(nil), g.Checks...)
		for i := range g.Checks {
			k := &g.Checks[i]
			k.OK, k.Kind, k.Detail, k.Took = true, fault.None, "", min(k.Took, 120*time.Millisecond)
		}
		categories = append(categories, g)
	}
	c.Categories = categories
	return c
}

// moved is r as if it had begun at another time.
func moved(r record.Run, at time.Time) record.Run {
	by := at.Sub(r.Started)
	r.Started, r.Ended = at, r.Ended.Add(by)
	if !r.Card.Taken.IsZero() {
		r.Card.Taken = at
	}
	r.Attempts = append([]record.Attempt(nil), r.Attempts...)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		a.Started, a.Ended = a.Started.Add(by), a.Ended.Add(by)
		a.Ran = append([]record.Step(nil), a.Ran...)
		for j := range a.Ran {
			a.Ran[j].Started, a.Ran[j].Ended = a.Ran[j].Started.Add(by), a.Ran[j].Ended.Add(by)
		}
	}
	return r
}

// Running is a build that is in its second attempt at a time.
func Running(now time.Time) record.Run {
	r := moved(Outage(), now.Add(-48*time.Second))
	r.ID, r.Outcome, r.Images, r.Ended = "LIVE7QW2MZP4RB6T", "", nil, now
	last := &r.Attempts[1]
	last.Ended = now
	var ran []record.Step
	for _, s := range last.Ran {
		switch {
		case s.Started.After(now):
			continue
		case s.Ended.After(now):
			s.Ended = time.Time{}
		}
		ran = append(ran, s)
	}
	last.Ran = ran
	r.Context = record.Context{Repo: "github.com/acme/service", Branch: "main"}
	return r
}
