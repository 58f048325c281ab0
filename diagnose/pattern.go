package diagnose

import (
	"slices"
	"sync"

	"github.com/outlast-build/outlast/fault"
)

// A Pattern is one way in which a tool says what went wrong.
type Pattern struct {
	Name    string     // unique; a tool, then what it says
	Service string     // what failed; empty where the lines around it tell
	Kind    fault.Kind // what failed in it
	Weight  Weight     // how much the words say
	Help    Help       // what can help; zero where the kind tells
	Match   *Expression
	Command *Expression // where it is set, the command that failed must match, too
	Sample  string      // a line (behind that of the command, if that counts) that it matches and that no earlier pattern takes
	Hint    string      // what to do; empty where the kind tells
}

// A Weight says how much a pattern's words prove. Of several matches in an
// output the heaviest counts, and of equal ones the latest.
type Weight int

// The weights, from least to most.
const (
	Trace       Weight = iota + 1 // that something failed: an exit code
	Consequence                   // what follows when an earlier step failed in silence
	Vague                         // words that programs also use for other things
	Wrapper                       // that a fetch failed; the reason stands elsewhere
	Likely                        // words for failures of networks and machines, from any program
	Specific                      // a tool's own words for its own failure
	Certain                       // nothing else in the output can outweigh it: a compiler, a test, a parser
)

// Help says what can help, where it differs from what the kind says.
type Help int

// The values of Help: who or what can mend it.
const (
	ByKind     Help = iota
	Again           // another try; another route too
	AgainOnly       // another try, and no other route
	Elsewhere       // another route, now; not another try
	Nothing         // neither, and it is not the user's fault
	User            // the user alone
	UserOrElse      // the user's own, but another route would carry it
)

type verdict struct{ retry, fallback, user bool }

var verdicts = map[Help]verdict{
	Again:      {true, true, false},
	AgainOnly:  {true, false, false},
	Elsewhere:  {false, true, false},
	Nothing:    {false, false, false},
	User:       {false, false, true},
	UserOrElse: {false, true, true},
}

// kinds says what can help after a failure of a kind in a build. It is not the
// table of package fault, which speaks of one request: there the next endpoint
// is asked at once, here a whole build would be repeated.
var kinds = map[fault.Kind]Help{
	fault.DNS:         Again,
	fault.Connection:  Again,
	fault.Timeout:     Again,
	fault.TLS:         Again,
	fault.Outage:      Again,
	fault.RateLimited: Again,
	fault.HTML:        Again,
	fault.Truncated:   Again,
	fault.Corrupt:     Again,
	fault.Auth:        User,
	fault.NotFound:    User,
	fault.Rejected:    Elsewhere,
	fault.CacheImport: Again,
	fault.CacheExport: Again,
	fault.Resource:    Elsewhere,
	fault.Engine:      Again,
	fault.Platform:    Elsewhere,
	fault.Dockerfile:  User,
	fault.Compile:     User,
	fault.Test:        User,
	fault.MissingFile: User,
	fault.Dependency:  User,
	fault.Config:      User,
	fault.Build:       User,
	fault.Canceled:    Nothing,
	fault.Unknown:     Nothing,
}

func (p *Pattern) verdict() verdict {
	h := p.Help
	if h == ByKind {
		h = kinds[p.Kind]
	}
	return verdicts[h]
}

// Patterns returns the table. The first pattern that matches a line takes it;
// one that is Vague or less only where no other matches.
func Patterns() []Pattern {
	all := make([]Pattern, len(table()))
	for i, e := range table() {
		all[i] = e.Pattern
	}
	return all
}

// entry is a pattern with the words that a line must have: they are looked for
// before the expression is tried, which makes a table of hundreds of
// expressions cheap.
type entry struct {
	Pattern
	need need
}

var table = sync.OnceValue(func() []entry {
	var all []entry
	for _, rows := range [][]Pattern{firstRows, userRows, cacheRows, machineRows, engineRows, registryRows, packageRows, networkRows, traceRows} {
		for _, p := range rows {
			all = append(all, entry{p, needOf(p.Match)})
		}
	}
	return all
})

// maxTried bounds the work on one log, in bytes of lines on which expressions are
// tried: each takes up to 0.35 µs. A thousand different lines of errors need a third
// of it; lines made of the words that the table looks for, all different, would
// take seven seconds of the processor for a megabyte.
const maxTried = 3 << 20

// lookup is what it takes to look for the words of all patterns in a line, in
// the same measure: as much as three expressions.
const lookup = 3

// match returns the first pattern that takes a line; a vague one only where no
// other does. It counts what it tries.
func (l *log) match(line out) *Pattern {
	var vague *Pattern
	text, lower, commands := line.text, line.lower, l.command
	l.tried += lookup * len(text)
	for i := range l.table {
		e := &l.table[i]
		if vague != nil && e.Weight <= Vague || !e.need.met(lower) {
			continue
		}
		l.tried += len(text)
		if !e.Match.MatchString(text) || e.Command != nil && !slices.ContainsFunc(commands, e.Command.MatchString) {
			continue
		}
		if e.Weight > Vague {
			return &e.Pattern
		}
		vague = &e.Pattern
	}
	return vague
}
