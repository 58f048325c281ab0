package runs

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/record"
)

// What synthetic runs are made of.
var (
	strategies = []string{"optimal", "optimal", "optimal", "resilient", "conservative", "emergency"}
	outcomes   = []record.Outcome{record.Built, record.Built, record.Built, record.Built, record.Built, record.Built, record.Failed, record.NoSource, record.NoEngine, record.Interrupted}
	troubles   = []fault.Kind{fault.Outage, fault.Timeout, fault.RateLimited, fault.HTML, fault.NotFound}
	tiers      = [][]string{nil, {"local"}, {"local", "registry"}, {"actions", "local"}}
	endpoints  = []record.Service{
		{Endpoint: "registry-1.docker.io", Serves: "docker.io", Origin: true}, {Endpoint: "mirror.gcr.io", Serves: "docker.io"}, {Endpoint: "public.ecr.aws", Serves: "docker.io"},
		{Endpoint: "gcr.io", Serves: "gcr.io", Origin: true}, {Endpoint: "goproxy.example.com", Serves: "go", Origin: true}, {Endpoint: "apt.example.com", Serves: "apt", Origin: true}}
)

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// Synthetic is a run as it might have been, drawn from r and begun at at: of
// one of a few repositories, now and then through an outage.
func Synthetic(r *rand.Rand, at time.Time) record.Run {
	run := record.Run{ID: fmt.Sprintf("%016X%08X", r.Uint64(), r.Uint32()), Kind: record.KindBuild, Version: "v1.0.0", Started: at, Strategy: pick(r, strategies), Outcome: pick(r, outcomes),
		Builder: "default (docker-container, buildx's own choice)", Why: []string{"strategy optimal: the services are at 100%"},
		Context: record.Context{Repo: fmt.Sprintf("git.example.com/acme/app%d", r.IntN(20)), Branch: pick(r, []string{"main", "main", fmt.Sprintf("feat/%d", r.IntN(500))}),
			Commit: fmt.Sprintf("%016x%016x%08x", r.Uint64(), r.Uint64(), r.Uint32()), CI: "github", Job: "CI/image"}}
	run.Card = syntheticCard(r, at)
	if r.IntN(10) == 0 {
		run.Kind, run.Outcome, run.Ended = record.KindCheck, record.Checked, at.Add(run.Card.Took)
		return run
	}
	run.Needs = []record.Need{
		{Kind: "image", Ref: "docker.io/library/golang:1.26", Line: 1, Locked: r.IntN(2) == 0}, {Kind: "image", Ref: "gcr.io/distroless/static:nonroot", Line: 9},
		{Kind: "packages", Ref: "go", Line: 4}, {Kind: "packages", Ref: "apt", Line: 5}}
	for _, s := range endpoints {
		run.Services = append(run.Services, syntheticService(r, s))
	}
	end := at.Add(time.Second)
	for range 1 + r.IntN(6)/5 + r.IntN(6)/5 {
		a := syntheticAttempt(r, run.Strategy, end)
		end = a.Ended
		run.Attempts = append(run.Attempts, a)
	}
	last := &run.Attempts[len(run.Attempts)-1]
	switch run.Outcome {
	case record.Built:
		last.Kind, last.Cause, last.Diagnosis, last.Limit = fault.None, "", nil, ""
		run.Images = []record.Image{{Digest: syntheticDigest(r), Tags: []string{"registry.example.com/app:latest"}}}
	default:
		run.Error = "failed to solve: process \"/bin/sh -c go build ./...\" did not complete successfully: exit code: 1"
	}
	run.Ended = end.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
	return run
}

func syntheticDigest(r *rand.Rand) string {
	return fmt.Sprintf("sha256:%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
}

func syntheticCard(r *rand.Rand, at time.Time) health.Scorecard {
	c := card(at)
	for i := range c.Categories {
		for j := range c.Categories[i].Checks {
			k := &c.Categories[i].Checks[j]
			k.OK, k.Took = r.IntN(12) > 0, time.Duration(r.IntN(1e9))
			k.Kind, k.Detail = fault.None, "answers"
			if !k.OK {
				k.Kind, k.Detail = fault.Timeout, "no answer within 2s"
			}
		}
	}
	c.Took = time.Duration(r.IntN(2e9))
	return c
}

func syntheticService(r *rand.Rand, s record.Service) record.Service {
	s.Asked, s.Bytes = 1+r.IntN(20), int64(r.IntN(1<<28))
	well := s.Asked
	switch r.IntN(25) {
	case 0:
		s.Failed, well = map[fault.Kind]int{pick(r, troubles): s.Asked}, 0
	case 1, 2:
		s.Failed = map[fault.Kind]int{pick(r, troubles): 1}
		well--
	case 3:
		s.GivenUp, well = 1, well-1
	}
	for range well {
		s.Latency = s.Latency.Add(time.Duration((20 + r.ExpFloat64()*80) * float64(time.Millisecond)))
	}
	return s
}

func syntheticAttempt(r *rand.Rand, strategy string, at time.Time) record.Attempt {
	a := record.Attempt{Started: at, Strategy: strategy, Steps: 14, Caches: pick(r, tiers), Kind: pick(r, troubles[:2]), Cause: "no answer within 5s",
		Diagnosis: &diagnose.Diagnosis{Kind: fault.Timeout, Service: "registry", Endpoint: "registry-1.docker.io", Retryable: r.IntN(5) > 0, Confidence: 1}}
	if r.IntN(30) == 0 {
		a.Limit = "timeouts." + strategy
	}
	if r.IntN(40) == 0 {
		a.Swallowed = "[build 3/7] RUN apt-get update; apt-get install -y curl"
	}
	for n := range a.Steps {
		s := record.Step{Name: fmt.Sprintf("[build %d/14] RUN make part-%d", n+1, n), Started: at, Ended: at.Add(time.Duration(r.ExpFloat64() * float64(8*time.Second))), Cached: r.IntN(2) == 0}
		if n == 0 {
			s.Name = fmt.Sprintf("[build 1/14] FROM docker.io/library/golang:1.26@sha256:%064d", r.IntN(3))
		}
		if s.Cached {
			s.Ended = at
			a.Cached++
		}
		at = s.Ended
		a.Ran = append(a.Ran, s)
	}
	a.Ended = at
	return a
}
