package report

import (
	"fmt"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// adviceMarks say how a mirror does.
var adviceMarks = map[health.Advice]Mark{health.Keep: Well, health.Later: Uneasy, health.Distrust: Uneasy, health.Drop: Down}

// Mirrors returns a line for each origin, and one for each of its mirrors: how
// it does, and what to do about it. The time now is what ages are told from.
func Mirrors(all []health.Registry, now time.Time) []Line {
	var lines []Line
	for _, r := range all {
		lines = append(lines, origin(r))
		for i, m := range r.Mirrors {
			v := r.Verdicts[i]
			text := m.URL
			if took := m.Took(); took > 0 {
				text += " (" + milliseconds(took) + ")"
			}
			if v.Same > 0 {
				text += fmt.Sprintf(": %d of %d tags as expected", v.Same, len(m.Samples))
			}
			if v.Wrong != "" {
				text += ": " + v.Wrong
			}
			if !m.LastGood.IsZero() {
				text += "; last good answer " + ago(now.Sub(m.LastGood))
			}
			lines = append(lines, Line{adviceMarks[v.Advice], "  " + text})
		}
	}
	return lines
}

func origin(r health.Registry) Line {
	line := Line{Well, r.Host + ": origin " + r.Origin.URL}
	if took := r.Origin.Took(); took > 0 {
		line.Text += " responsive (" + milliseconds(took) + ")"
		return line
	}
	line.Mark = Uneasy
	for _, k := range r.Origin.Samples {
		if k.Kind != fault.None {
			line.Text += fmt.Sprintf(" %s: %s", k.Kind.Verb(), k.Detail)
			break
		}
	}
	if len(r.Expected) > 0 {
		line.Text += "; mirrors are compared with the last good answers"
	}
	return line
}

func ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return d.Round(time.Minute).String() + " ago"
}

// MirrorAdvice returns a line for each mirror that should not stay as it is.
func MirrorAdvice(all []health.Registry) []string {
	var lines []string
	for _, r := range all {
		for i, v := range r.Verdicts {
			switch v.Advice {
			case health.Drop:
				lines = append(lines, fmt.Sprintf("drop %s from registries.%s.mirrors: it %s", r.Mirrors[i].URL, r.Host, v.Wrong))
			case health.Distrust:
				lines = append(lines, fmt.Sprintf("set tags: false for %s in registries.%s.mirrors: it %s", r.Mirrors[i].URL, r.Host, v.Wrong))
			}
		}
	}
	return lines
}

// A RegistryJSON is a health.Registry for programs. Its names are part of the
// interface.
type RegistryJSON struct {
	Registry string       `json:"registry"`
	Origin   SourceJSON   `json:"origin"`
	Mirrors  []SourceJSON `json:"mirrors"`
}

// A SourceJSON is an origin or a mirror of a RegistryJSON.
type SourceJSON struct {
	URL       string        `json:"url"`
	Tags      bool          `json:"tags"`
	Reachable bool          `json:"reachable"`
	Took      int64         `json:"took_ms"`
	Samples   []SampleJSON  `json:"samples"`
	LastGood  *time.Time    `json:"last_good"`
	Wrong     string        `json:"wrong,omitempty"`
	Advice    health.Advice `json:"advice,omitempty"`
}

// A SampleJSON is a tag that a source was asked for.
type SampleJSON struct {
	Image  string     `json:"image"`
	Digest string     `json:"digest"`
	Same   *bool      `json:"same"` // as the origin's, or the last good one; null where there is nothing to compare
	Took   int64      `json:"took_ms"`
	Kind   fault.Kind `json:"kind"`
	Detail string     `json:"detail"`
}

// MirrorsOf returns registries for programs.
func MirrorsOf(all []health.Registry) []RegistryJSON {
	list := []RegistryJSON{}
	for _, r := range all {
		j := RegistryJSON{Registry: r.Host, Origin: sourceOf(r.Origin, r.Expected), Mirrors: []SourceJSON{}}
		for i, m := range r.Mirrors {
			s := sourceOf(m, r.Expected)
			s.Wrong, s.Advice = r.Verdicts[i].Wrong, r.Verdicts[i].Advice
			j.Mirrors = append(j.Mirrors, s)
		}
		list = append(list, j)
	}
	return list
}

func sourceOf(s health.Source, expected map[string]string) SourceJSON {
	j := SourceJSON{URL: s.URL, Tags: s.Tags, Reachable: s.Reachable(), Took: s.Took().Milliseconds(), Samples: []SampleJSON{}}
	if !s.LastGood.IsZero() {
		at := s.LastGood.UTC()
		j.LastGood = &at
	}
	for _, k := range s.Samples {
		sample := SampleJSON{Image: k.Image, Digest: k.Digest, Took: k.Took.Milliseconds(), Kind: k.Kind, Detail: k.Detail}
		if want := expected[k.Image]; want != "" && k.Digest != "" {
			same := want == k.Digest
			sample.Same = &same
		}
		j.Samples = append(j.Samples, sample)
	}
	return j
}
