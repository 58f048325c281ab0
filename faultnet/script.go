package faultnet

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// A Script says which requests meet which fault. The first row that matches a
// request decides; where none does, the request is served well. So the empty
// script is health.
type Script []Row

// A Row selects requests, and of these some occurrences. What is left empty
// selects everything, and a row with only a Fault strikes every request.
type Row struct {
	Method string                   // "GET", "HEAD", …
	Place  Place                    // what the request is for
	Path   *regexp.Regexp           // of the request's path, anywhere in it
	If     func(*http.Request) bool // must not use the service that asks it
	On     Occurrence               // which of the requests that are so selected
	Fault  Fault                    // the zero Fault lets a request pass the rows below
}

// Always is the script of a service that fails at every request.
func Always(f Fault) Script { return Script{{Fault: f}} }

// At is the script of a service that fails at every request for one place.
func At(p Place, f Fault) Script { return Script{{Place: p, Fault: f}} }

// Authorized selects the requests that carry an Authorization header, so that
// a row does not count those that a token guard turns away.
func Authorized(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

// An Occurrence says which of the requests that a row selects it strikes. A
// row counts every request that it selects, also one that a row above it
// takes, from 1 at the start of its script. The zero Occurrence is each.
type Occurrence struct{ from, to int }

// First strikes the first n requests.
func First(n int) Occurrence { return Occurrence{1, max(n, 0)} }

// Nth strikes the nth request and no other.
func Nth(n int) Occurrence { return Occurrence{n, n} }

// From strikes the nth request and all that follow.
func From(n int) Occurrence { return Occurrence{from: n, to: -1} }

func (o Occurrence) has(n int) bool {
	if o == (Occurrence{}) {
		return true
	}
	return n >= o.from && (n <= o.to || o.to < 0)
}

// String says o in words: "first 2", "request 3", "from request 3", "always".
func (o Occurrence) String() string {
	switch {
	case o == Occurrence{}:
		return "always"
	case o.to < 0:
		return fmt.Sprintf("from request %d", o.from)
	case o.from == o.to && o.from != 1:
		return fmt.Sprintf("request %d", o.from)
	}
	return fmt.Sprintf("first %d", o.to)
}

func (r Row) selects(req *http.Request, p Place) bool {
	return (r.Method == "" || r.Method == req.Method) &&
		(r.Place == "" || r.Place == p) &&
		(r.Path == nil || r.Path.MatchString(req.URL.Path)) &&
		(r.If == nil || r.If(req))
}

// total reports whether r strikes every request.
func (r Row) total() bool {
	return r.Method == "" && r.Place == "" && r.Path == nil && r.If == nil && r.On == Occurrence{}
}

// String says r in words: "GET blob, request 3: cut after 400 kB".
func (r Row) String() string {
	var subject []string
	for _, s := range []string{r.Method, string(r.Place)} {
		if s != "" {
			subject = append(subject, s)
		}
	}
	if r.Path != nil {
		subject = append(subject, r.Path.String())
	}
	if r.If != nil {
		subject = append(subject, "if …")
	}
	if len(subject) == 0 {
		subject = []string{"everything"}
	}
	return fmt.Sprintf("%s, %s: %s", strings.Join(subject, " "), r.On, r.Fault)
}

// String says s in words, its rows separated by "; ".
func (s Script) String() string {
	if len(s) == 0 {
		return Fault{}.String()
	}
	rows := make([]string, len(s))
	for i, r := range s {
		rows[i] = r.String()
	}
	return strings.Join(rows, "; ")
}

// whole returns the fault that takes a whole service, if s has a row that
// strikes every request before it can be read.
func (s Script) whole() (Fault, bool) {
	for _, r := range s {
		if r.total() && r.Fault.BeforeRequest() {
			return r.Fault, true
		}
	}
	return Fault{}, false
}
