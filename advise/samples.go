package advise

import (
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// sample is a history of well-behaved builds, all of one image that is locked.
func sample() Input {
	took := make(record.Spread)
	for range 100 {
		took.Add(15 * time.Minute)
	}
	return Input{
		Tally: stats.Tally{Builds: 100,
			Strategies: map[string]*stats.Strategy{"optimal": {Builds: 100, Built: 100, Took: took, Attempts: 100, AttemptTook: took}},
			Services: map[string]*stats.Service{
				"registry-1.docker.io docker.io": {Endpoint: "registry-1.docker.io", Serves: "docker.io", Origin: true, Builds: 100, Asked: 500},
				"m.example.com docker.io":        {Endpoint: "m.example.com", Serves: "docker.io", Builds: 100, Asked: 400}},
			Images: map[string]*stats.Image{"docker.io/library/golang:1.26": {Builds: 100, Locked: 100, Digests: map[string]int{"sha256:aa": 100}}}},
		Mirrors:  map[string][]string{"docker.io": {"https://m.example.com", "https://n.example.com/hub"}},
		Timeouts: map[string]time.Duration{"optimal": 40 * time.Minute},
	}
}

func sampleMirrorFails() Input {
	in := sample()
	s := in.Tally.Services["m.example.com docker.io"]
	s.Failed, s.Bad = map[fault.Kind]int{fault.Timeout: 100, fault.NotFound: 100}, 60
	return in
}

func sampleRateLimit() Input {
	in := sample()
	s := in.Tally.Services["registry-1.docker.io docker.io"]
	s.Failed, s.Bad = map[fault.Kind]int{fault.RateLimited: 12, fault.Outage: 2}, 9
	return in
}

func sampleSecondSource() Input {
	in := sample()
	in.Tally.Services["ghcr.io ghcr.io"] = &stats.Service{Endpoint: "ghcr.io", Serves: "ghcr.io", Origin: true, Builds: 100, Bad: 7, Asked: 300, Failed: map[fault.Kind]int{fault.Outage: 20}}
	return in
}

func sampleCacheCosts() Input {
	in := sample()
	slow, quick := make(record.Spread), make(record.Spread)
	for range 30 {
		slow.Add(9 * time.Minute)
		quick.Add(6 * time.Minute)
	}
	in.Tally.Caches = map[string]*stats.Cache{
		"registry":    {Attempts: 30, Steps: 300, Cached: 90, Took: slow},
		"local":       {Attempts: 30, Steps: 300, Cached: 200, Took: quick},
		stats.NoCache: {Attempts: 30, Steps: 300, Cached: 80, Took: quick}}
	return in
}

func sampleTimeoutReached() Input {
	in := sample()
	in.Tally.Strategies["optimal"].Reached = 31
	return in
}

func sampleTimeoutIdle() Input {
	in := sample()
	short := make(record.Spread)
	for range 100 {
		short.Add(3 * time.Minute)
	}
	in.Tally.Strategies["optimal"].AttemptTook = short
	return in
}

func sampleTagMoves() Input {
	in := sample()
	im := in.Tally.Images["docker.io/library/golang:1.26"]
	im.Locked, im.Digests = 0, map[string]int{"sha256:aa": 70, "sha256:bb": 30}
	return in
}

func sampleNotLocked() Input {
	in := sample()
	in.Tally.Images["docker.io/library/golang:1.26"].Locked = 3
	return in
}

func sampleSwallowed() Input {
	in := sample()
	in.Tally.Swallowed = map[string]int{"[build 3/7] RUN apt-get update; apt-get install -y curl": 4}
	return in
}
