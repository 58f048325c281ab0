package stats

// Merge adds all that o counts. It keeps nothing of o.
func (t *Tally) Merge(o Tally) {
	t.Builds += o.Builds
	t.Checks += o.Checks
	t.Score = t.Score.plus(o.Score)
	t.Outages = t.Outages.plus(o.Outages)
	for k, n := range o.Outcomes {
		count(&t.Outcomes, k, n, maxKinds)
	}
	for k, s := range o.Strategies {
		at(&t.Strategies, k, maxKinds).add(*s)
	}
	for k, r := range o.Retries {
		own := at(&t.Retries, k, maxKinds)
		*own = Retry{own.Tried + r.Tried, own.Helped + r.Helped, own.Spent + r.Spent}
	}
	for k, c := range o.Caches {
		own := at(&t.Caches, k, maxKinds)
		*own = Cache{own.Attempts + c.Attempts, own.Steps + c.Steps, own.Cached + c.Cached, own.Took.Merge(c.Took)}
	}
	for _, s := range o.Services {
		t.service(s.Endpoint, s.Serves).add(*s)
	}
	for k, im := range o.Images {
		at(&t.Images, k, MaxImages).add(*im)
	}
	for k, n := range o.Swallowed {
		count(&t.Swallowed, k, n, MaxSteps)
	}
}

func (s Score) plus(o Score) Score {
	switch {
	case s.Runs == 0:
		return o
	case o.Runs == 0:
		return s
	}
	return Score{s.Runs + o.Runs, s.Sum + o.Sum, min(s.Least, o.Least)}
}

func (a Outages) plus(b Outages) Outages {
	return Outages{a.Met + b.Met, a.Survived + b.Survived, a.Saved + b.Saved, a.AttemptsSaved + b.AttemptsSaved, a.AttemptsLost + b.AttemptsLost}
}

func (s *Strategy) add(o Strategy) {
	s.Builds += o.Builds
	s.Built += o.Built
	s.Lost += o.Lost
	s.Users += o.Users
	s.Took = s.Took.Merge(o.Took)
	s.Attempts += o.Attempts
	s.AttemptTook = s.AttemptTook.Merge(o.AttemptTook)
	s.Reached += o.Reached
}

func (s *Service) add(o Service) {
	s.Origin = s.Origin || o.Origin
	s.Builds += o.Builds
	s.Bad += o.Bad
	s.Out += o.Out
	s.Asked += o.Asked
	s.GivenUp += o.GivenUp
	for k, n := range o.Failed {
		count(&s.Failed, k, n, maxKinds)
	}
	s.Bytes += o.Bytes
	s.Latency = s.Latency.Merge(o.Latency)
	s.Checks += o.Checks
	s.Well += o.Well
}

func (im *Image) add(o Image) {
	im.Builds += o.Builds
	im.Locked += o.Locked
	for d, n := range o.Digests {
		count(&im.Digests, d, n, MaxDigests)
	}
}
