package outlast

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/probe"
	"github.com/outlast-build/outlast/redact"
)

// Confirm asks the service that a failure is blamed on whether it is well: one
// question, within the budget of the settings. It reports false where the
// endpoint is none of those that the needs and the settings name. A log may
// name any host, and is no reason to ask it; nor is a Dockerfile to ask one
// that is not public, unless packages.hosts names it.
func Confirm(ctx context.Context, o SurveyOptions, d diagnose.Diagnosis) (diagnose.Answer, bool) {
	o = o.complete()
	start := time.Now()
	k, ok := newSurvey(ctx, o).suspect(d)
	if !ok {
		return diagnose.Answer{}, false
	}
	card := probe.Round{Categories: []probe.Category{{Checks: []probe.Check{k}}}, Budget: o.Settings.Probe.Budget, Began: start, Board: o.Board}.Ask(ctx)
	got := card.Categories[0].Checks[0]
	if ctx.Err() != nil || got.Kind == fault.Config {
		return diagnose.Answer{}, false // nobody was asked
	}
	return diagnose.Answer{Endpoint: got.Target, OK: got.OK, Kind: got.Kind, Detail: redact.Text(got.Detail), Took: got.Took}, true
}

// suspect is the check of the service that a failure is blamed on.
func (s *survey) suspect(d diagnose.Diagnosis) (probe.Check, bool) {
	var all []probe.Check
	for _, list := range [][]probe.Check{s.primary, s.others, s.mirrors, s.proxies, s.packages, s.added, s.actions} {
		all = append(all, list...)
	}
	find := func(is func(probe.Check) bool) (probe.Check, bool) {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], true
		}
		return probe.Check{}, false
	}
	if d.Endpoint == "" {
		return find(func(k probe.Check) bool { return k.Needed && k.For == ecosystems[d.Service] })
	}
	if k, ok := find(func(k probe.Check) bool { return k.Host != "" && strings.EqualFold(k.Host, d.Endpoint) }); ok {
		return k, true
	}
	if k, ok := find(func(k probe.Check) bool { return k.Needed && k.For == d.Endpoint }); ok {
		return k, true
	}
	for _, n := range s.Needs {
		if n.Host != "" && strings.EqualFold(n.Host, d.Endpoint) {
			return s.named(n)
		}
	}
	return probe.Check{}, false
}

// ecosystems are the managers whose repository a service of a Diagnosis is.
var ecosystems = map[string]string{"go-proxy": "go", "npm": "npm", "pip": "pip"}

// named is a check of an address that the Dockerfile names.
func (s *survey) named(n dockerfile.Need) (probe.Check, bool) {
	at, err := url.Parse(n.Ref)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" {
		return probe.Check{}, false
	}
	want := probe.Page
	switch n.Kind {
	case dockerfile.AddURL:
		want = probe.Anything
	case dockerfile.Git:
		// What a client asks first (gitprotocol-http, "Smart Clients").
		at.Path, at.RawQuery, at.Fragment = strings.TrimRight(at.Path, "/")+"/info/refs", "service=git-upload-pack", ""
	}
	f := s.fetcher()
	f.Permit = forward.Guard{Hosts: s.Settings.Packages.Hosts}.Permit
	return probe.Check{Name: at.Host, Target: at.Host, Host: at.Host, Needed: true, Question: probe.Web{Upstream: through(f, *at), Want: want}}, true
}

// confirm asks the service that a diagnosis suspects, and joins its answer.
func (b *build) confirm(ctx context.Context, d diagnose.Diagnosis) diagnose.Diagnosis {
	if b.mirror != nil && d.Endpoint == b.mirror.address {
		d.Endpoint = "" // it carries what others answer
	}
	if b.Confirm == nil || !d.Doubtful() {
		return d
	}
	o := b.asked()
	o.Board, o.Needs = b.board, append(slices.Clone(o.Needs), b.targets()...)
	answer, ok := b.Confirm(ctx, o, d)
	if !ok {
		return d
	}
	if answer.OK {
		b.note(fmt.Sprintf("%s was asked again: it answers well (%s)", answer.Endpoint, answer.Detail))
	} else {
		b.note(fmt.Sprintf("%s was asked again: it %s (%s)", answer.Endpoint, answer.Kind.Verb(), answer.Detail))
	}
	return d.With(answer)
}

// targets are the registries that the image is pushed to, as needs.
func (b *build) targets() []dockerfile.Need {
	args := b.args()
	if !args.Pushes() {
		return nil
	}
	var all []dockerfile.Need
	for _, tag := range args.All("tag") {
		if named, err := reference.ParseNormalizedNamed(tag); err == nil {
			all = append(all, dockerfile.Need{Kind: dockerfile.Image, Ref: reference.TagNameOnly(named).String(), Host: reference.Domain(named)})
		}
	}
	return all
}

// target is the registry that the image is pushed to first, or "".
func (b *build) target() string {
	for _, n := range b.targets() {
		return n.Host
	}
	return ""
}
