// Package diagnose reads the output of a failed build and names the cause:
// the kind of failure, the service and the endpoint at fault, the line that
// says so, and whether another try or another route can help.
//
// Structure comes before words. The dress that tools and CI systems put around
// each line is taken off, the step that failed is found, and the shell source
// that builders echo is set apart from what programs said. A table of patterns
// then reads the lines that are left. What no pattern knows is not worth
// another try.
//
// The package does no I/O but reading from what it is given, keeps a bounded
// part of it, and never executes or opens anything that a log names.
package diagnose

import (
	"io"
	"strings"

	"github.com/outlast-build/outlast/fault"
)

// A Diagnosis is the cause of a failed build, as far as its output tells.
type Diagnosis struct {
	Kind          fault.Kind `json:"kind"`
	Service       string     `json:"service"`        // a word of Services; "other" where none fits
	Endpoint      string     `json:"endpoint"`       // host or host:port at fault; empty where the output names none
	Retryable     bool       `json:"retryable"`      // the same build, unchanged, may pass within the hour
	FallbackHelps bool       `json:"fallback_helps"` // another mirror, no cache, no login, more disk … would pass now
	UserError     bool       `json:"user_error"`     // the cause lies in the user's files, settings or credentials
	Confidence    float64    `json:"confidence"`     // 0 to 1
	Evidence      Evidence   `json:"evidence"`
	Hint          string     `json:"hint"`    // what to do, a clause for people
	Pattern       string     `json:"pattern"` // Name of the Pattern; empty where none matched

	// Asked is how much disk or memory was asked for and not there, in bytes; 0
	// where nobody said, or nothing was lacking.
	Asked int64 `json:"asked,omitempty"`

	// Answer is what the suspected service said afterwards; nil where nobody
	// asked it. A log alone has none.
	Answer *Answer `json:"answer,omitempty"`
}

// Evidence is the line that a Diagnosis rests on.
type Evidence struct {
	Line int    `json:"line"` // from 1; 0 where there is none
	Text string `json:"text"` // without its dress; credentials and query strings of URLs are left out
}

// Services are the words for what failed.
func Services() []string {
	return []string{"registry", "gha-cache", "registry-cache", "go-proxy", "apt", "apk", "npm", "pip", "maven", "cargo",
		"gem", "git", "dns", "network", "buildkit", "disk", "dockerfile", "compile", "test", "auth", "other"}
}

// A Step is a step of a build that failed, as an engine tells it.
type Step struct {
	Name   string   // "[build 3/7] RUN go mod download"
	Log    []string // what it wrote, a line each
	Error  string   // why it failed
	Source []string // its lines in the Dockerfile, if they are known
}

// Diagnose names the cause of a step's failure. The lines of its Evidence
// count from the first of s.Log; the error stands after the last.
func Diagnose(s Step) Diagnosis {
	k := newKeeper()
	for _, text := range s.Log {
		k.Write([]byte(text + "\n"))
	}
	for text := range strings.Lines(s.Error) {
		k.Write([]byte("ERROR: " + strings.TrimRight(text, "\r\n") + "\n"))
	}
	l := parse(k.lines())
	l.command = append(l.command, s.Source...)
	l.command = append(l.command, s.Name)
	l.title = bracket.ReplaceAllString(s.Name, "")
	return l.judge()
}

// bracket is what BuildKit puts before the name of a step.
var bracket = re(`^\[[^\]]*\] `)

// ReadWith is Read by those patterns alone for which keep is true. It is there
// to measure what patterns are worth.
func ReadWith(r io.Reader, keep func(Pattern) bool) (Diagnosis, error) {
	k := newKeeper()
	_, err := k.ReadFrom(narrow(r))
	l := parse(k.lines())
	l.table = nil
	for _, e := range table() {
		if keep(e.Pattern) {
			l.table = append(l.table, e)
		}
	}
	return l.judge(), err
}

// Read names the cause of the failure that the log r ends with. It reads r to
// its end in one pass, in memory that does not grow with r; lines beyond 4
// KiB are cut. The error is that of r, and the Diagnosis then that of what came
// before.
func Read(r io.Reader) (Diagnosis, error) {
	k := newKeeper()
	_, err := k.ReadFrom(narrow(r))
	return parse(k.lines()).judge(), err
}
