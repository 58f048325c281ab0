package trial

import (
	"regexp"
	"time"

	"github.com/outlast-build/outlast/faultnet"
)

// The sources of packages that fail in an errand.
const (
	FirstSource Where = "the first source"
	EverySource Where = "every source" // and the store is warm
)

// A Part is which requests of a package manager fail.
type Part string

// The parts.
const (
	Connection Part = "connection"
	Index      Part = "index" // what says which files there are
	File       Part = "file"  // the packages themselves
)

// An Errand is an outage that strikes a package manager in a RUN.
type Errand struct {
	Manager string // as people call it: go, apt, npm, pip
	Fault   string // for people: what the failing sources do
	Part    Part
	Where   Where

	mishap mishap
}

// String names the errand: "go, file at the first source: never answers".
func (e Errand) String() string {
	return e.Manager + ", " + string(e.Part) + " at " + string(e.Where) + ": " + e.Fault
}

// Calm reports whether nothing fails in e: it is there to compare with.
func (e Errand) Calm() bool { return e.Fault == calm }

const calm = "nothing: all is well"

// A mishap is one way in which a source of packages fails.
type mishap struct {
	name  string
	parts []Part
	fault faultnet.Fault
	// not are the managers to whose index this cannot be done: nothing but
	// the index itself says what is in it.
	not   []string
	noDNS bool // its name does not exist
	half  bool // the index is newer than the files, or half of it
}

var (
	asked = []Part{Index, File}
	halfs = []Part{Index}
)

// mishaps are all of them, in the order of the table.
var mishaps = []mishap{
	{name: "its name does not exist", parts: []Part{Connection}, noDNS: true},
	{name: "refuses connections", parts: []Part{Connection}, fault: faultnet.Refuse()},
	{name: "never answers", parts: asked, fault: faultnet.Hang()},
	{name: "stalls in the middle", parts: asked, fault: faultnet.HangAfter(10)},
	{name: "503", parts: asked, fault: faultnet.Status(503)},
	{name: "429, Retry-After 5 s", parts: asked, fault: faultnet.TooMany(5 * time.Second)},
	{name: "400 with a page", parts: asked, fault: faultnet.StatusHTML(400, "")},
	{name: "200 with a page", parts: asked, fault: faultnet.OKHTML()},
	{name: "wrong bytes", parts: asked, fault: faultnet.WrongByte(), not: []string{"npm", "pip"}},
	{name: "half-updated", parts: halfs, half: true},
}

// Errands lists all outages of package managers, by manager, with one in front
// in which nothing fails.
func Errands() []Errand {
	var all []Errand
	for _, m := range managers {
		all = append(all, Errand{Manager: m.name, Fault: calm, Part: Connection, Where: FirstSource})
		for _, part := range []Part{Connection, Index, File} {
			for _, f := range mishaps {
				if !f.at(part, m.name) {
					continue
				}
				for _, where := range []Where{FirstSource, EverySource} {
					all = append(all, Errand{Manager: m.name, Fault: f.name, Part: part, Where: where, mishap: f})
				}
			}
		}
	}
	return all
}

func (f mishap) at(part Part, manager string) bool {
	for _, name := range f.not {
		if name == manager && part == Index {
			return false
		}
	}
	for _, p := range f.parts {
		if p == part {
			return true
		}
	}
	return false
}

// script is what a failing source of m plays.
func (e Errand) script(m *manager) faultnet.Script {
	switch {
	case e.mishap.half:
		return m.half
	case e.Calm() || e.mishap.noDNS:
		return nil
	case e.Part == Connection:
		return faultnet.Always(e.mishap.fault)
	}
	paths := map[Part]*regexp.Regexp{Index: m.index, File: m.file}
	if e.Part == Index && e.mishap.name == "wrong bytes" && m.proved != nil {
		return faultnet.Script{{Path: m.proved, Fault: e.mishap.fault}}
	}
	return faultnet.Script{{Path: paths[e.Part], Fault: e.mishap.fault}}
}
