package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
)

// Names puts what the user wrote back in place of what was made of it, the
// references that the routes changed above all, so that what is shown is what
// stock tools show. The zero Names changes nothing. It is safe for concurrent
// use.
type Names struct{ replacer *strings.Replacer }

// NamesOf returns the Names of the routes, and of pairs of what is seen and
// what to show for it, which come first.
func NamesOf(routes []Route, pairs ...string) Names {
	if len(routes)+len(pairs) == 0 {
		return Names{}
	}
	sorted := slices.Clone(routes)
	// A prefix may begin with another one: the longer must be seen first.
	slices.SortFunc(sorted, func(a, b Route) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	pairs = slices.Clone(pairs)
	for _, r := range sorted {
		if r.Prefix != "" {
			pairs = append(pairs, r.Prefix+"/", r.Host+"/")
		}
	}
	return Names{strings.NewReplacer(pairs...)}
}

// Text returns s with the original references.
func (n Names) Text(s string) string {
	if n.replacer == nil {
		return s
	}
	return n.replacer.Replace(s)
}

// Event changes e in place, its status too, and returns it.
func (n Names) Event(e Event) Event {
	if n.replacer == nil {
		return e
	}
	e.Line = n.Text(e.Line)
	if e.Status != nil {
		n.status(e.Status)
	}
	return e
}

func (n Names) status(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		v.Name, v.Error = n.Text(v.Name), n.Text(v.Error)
		if v.ProgressGroup != nil {
			v.ProgressGroup.Name = n.Text(v.ProgressGroup.Name)
		}
	}
	for _, st := range s.Statuses {
		st.ID, st.Name = n.Text(st.ID), n.Text(st.Name)
	}
	for _, l := range s.Logs {
		l.Data = n.bytes(l.Data)
	}
	for _, w := range s.Warnings {
		w.Short = n.bytes(w.Short)
		for i := range w.Detail {
			w.Detail[i] = n.bytes(w.Detail[i])
		}
	}
}

func (n Names) bytes(b []byte) []byte {
	s := string(b)
	if t := n.Text(s); t != s {
		return []byte(t)
	}
	return b
}
