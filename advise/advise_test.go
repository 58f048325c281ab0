package advise_test

import (
	"os"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/advise"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/stats"
)

// changes are what each rule wants to be typed, for its sample.
var changes = map[string]string{
	"mirror-fails":    "registries: {docker.io: {mirrors: [https://n.example.com/hub]}}",
	"rate-limit":      "docker login docker.io",
	"second-source":   "registries: {ghcr.io: {mirrors: [https://A-MIRROR-OF-IT]}}",
	"cache-costs":     "take cache.registry out of the settings",
	"timeout-reached": "timeouts: {optimal: 80m}",
	"timeout-idle":    "timeouts: {optimal: 7m}",
	"tag-moves":       "FROM docker.io/library/golang:1.26@sha256:aa",
	"not-locked":      "outlast lock, in the folder of the Dockerfile",
	"swallowed":       "RUN set -e; apt-get update --error-on=any; apt-get install -y curl",
}

func TestEachRuleTakesItsSampleAndNoOther(t *testing.T) {
	if len(changes) != len(advise.Rules()) {
		t.Errorf("there are %d rules and %d changes", len(advise.Rules()), len(changes))
	}
	for _, rule := range advise.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			got := advise.Of(rule.Sample())
			if len(got.Advice) != 1 || got.Advice[0].Rule != rule.Name {
				t.Fatalf("got %+v, want one advice, of this rule", got.Advice)
			}
			a := got.Advice[0]
			if a.Change != changes[rule.Name] {
				t.Errorf("got the change %q, want %q", a.Change, changes[rule.Name])
			}
			if a.Title == "" || !strings.ContainsAny(a.Why, "0123456789") {
				t.Errorf("got %+v, want a title, and evidence in numbers", a)
			}
			if rule.Threshold == "" {
				t.Error("nobody knows when it applies")
			}
		})
	}
}

func TestThinDataSpeaksForNothing(t *testing.T) {
	for _, rule := range advise.Rules() {
		in := rule.Sample()
		in.Tally.Builds = advise.MinBuilds - 1
		got := advise.Of(in)
		if got.Advice == nil || len(got.Advice) > 0 || got.Thin() != "nothing is recommended on 19 builds: 20 are needed" {
			t.Errorf("%s: got %+v, %q", rule.Name, got, got.Thin())
		}
	}
	if got := advise.Of(advise.Input{Tally: stats.Tally{Builds: 100}}); got.Thin() != "" || len(got.Advice) > 0 {
		t.Errorf("got %+v, want nothing to change", got)
	}
}

func TestTheSecondSourceOfPackages(t *testing.T) {
	for serves, want := range map[string]string{
		"go":  "packages: {go: [https://p.example.com, https://A-SECOND-ONE]}",
		"apt": "packages: {apt: [p.example.com=https://A-SECOND-ONE]}",
	} {
		s := &stats.Service{Endpoint: "p.example.com", Serves: serves, Origin: true, Builds: 100, Bad: 7, Asked: 300, Failed: map[fault.Kind]int{fault.Outage: 20}}
		got := advise.Of(advise.Input{Tally: stats.Tally{Builds: 100, Services: map[string]*stats.Service{"p": s}}})
		if len(got.Advice) != 1 || got.Advice[0].Change != want {
			t.Errorf("%s: got %+v, want %s", serves, got.Advice, want)
		}
	}
}

// TestNobodyIsToldToTypeWhatOthersWrote gives each sample names that a shell
// or a settings file would obey.
func TestNobodyIsToldToTypeWhatOthersWrote(t *testing.T) {
	for _, name := range []string{"x; rm -rf ~", "x\nrm", "$(rm)", "`rm`", "x\x1b[31m", "--help", "x]}", "", "(others)"} {
		for _, rule := range advise.Rules() {
			in := rule.Sample()
			for _, s := range in.Tally.Services {
				s.Endpoint, s.Serves = name, name
			}
			in.Mirrors = map[string][]string{name: {"https://" + name, "https://n.example.com"}}
			for ref, im := range in.Tally.Images {
				delete(in.Tally.Images, ref)
				in.Tally.Images[name] = im
			}
			for _, a := range advise.Of(in).Advice {
				if name != "" && strings.Contains(a.Change, name) {
					t.Errorf("%s: got the change %q", a.Rule, a.Change)
				}
			}
		}
	}
	in := advise.Rules()[0].Sample()
	in.Tally.Swallowed = map[string]int{"[1/2] RUN echo\nrm": 9, "[1/2] RUN \x1b[31m": 9}
	for _, a := range advise.Of(in).Advice {
		if a.Rule == "swallowed" {
			t.Errorf("got the change %q", a.Change)
		}
	}
}

func TestDocsTellEachThreshold(t *testing.T) {
	page, err := os.ReadFile("../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range advise.Rules() {
		if row := "| `" + rule.Name + "` | " + rule.Threshold + " |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/history.md lacks %s", row)
		}
	}
}
