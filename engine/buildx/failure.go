package buildx

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/outlast-build/outlast/engine"
)

// A verdict is what a line of buildx's own says about how a build ended.
// Nothing of a step's output comes here: that is in the log of the step.
type verdict struct {
	outcome engine.Outcome
	match   *regexp.Regexp
	sample  string
}

// verdicts are tried in order on each line of plain text. What none of them
// takes is a build that failed.
var verdicts = []verdict{
	{engine.Refused, regexp.MustCompile(`^(ERROR: )?unknown (shorthand )?flag:`), "unknown flag: --nonsense"},
	{engine.Refused, regexp.MustCompile(`^(ERROR: )?flag needs an argument:`), "ERROR: flag needs an argument: --tag"},
	{engine.Refused, regexp.MustCompile(`^(ERROR: )?invalid argument ".*" for "`), `invalid argument "maybe" for "--pull" flag: strconv.ParseBool: parsing "maybe": invalid syntax`},
	{engine.Refused, regexp.MustCompile(`^(ERROR: )?[\w :.-]*['"][\w :.-]*\bbuild['"] requires (exactly )?1 argument`), "ERROR: buildx: 'buildx build' requires 1 argument"},
	{engine.Unavailable, regexp.MustCompile(`^ERROR: no builder ".*" found`), `ERROR: no builder "nightly" found`},
	// 20 s of trying to connect to a remote builder's daemon.
	{engine.Unavailable, regexp.MustCompile(`^ERROR: (failed to build: )?context deadline exceeded$`), "ERROR: context deadline exceeded"},
	{engine.Unavailable, regexp.MustCompile(`^ERROR: no valid drivers found:`), "ERROR: no valid drivers found: context deadline exceeded"},
	{engine.Unavailable, regexp.MustCompile(`^ERROR: (failed to build: )?(Cannot|failed to) connect to the [Dd]ocker (daemon|API)`), "ERROR: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory"},
	{engine.Unavailable, regexp.MustCompile(`^ERROR: (failed to build: )?(failed to solve: )?failed to (receive|get) status: `), "ERROR: failed to build: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"},
	{engine.Unavailable, regexp.MustCompile(`^ERROR: (failed to build: )?(failed to solve: )?(failed to list workers|listing workers for Build|Unavailable):? .*(Unavailable|EOF|connection refused|context deadline exceeded)`), `ERROR: failed to build: failed to list workers: Unavailable: connection error: desc = "transport: error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`},
}

// prefixes stand before buildx's message in its last line.
var prefixes = []string{"ERROR: ", "failed to build: ", "failed to solve: "}

// classify says how the build ended, from its exit code and from what was
// told.
func classify(r *engine.Result, story *engine.Story) {
	switch r.Exit {
	case 0:
		r.Outcome = engine.Built
		return
	case 130: // buildx's own, for whatever was cancelled
		r.Outcome = engine.Interrupted
	case -1: // killed, and not by us
		r.Outcome = engine.Unavailable
	default:
		r.Outcome = engine.Failed
	}
	message, line := messageOf(r.Lines)
	r.Failure = &engine.Failure{Message: message, Step: story.Failing(), Source: sourceOf(r.Lines)}
	if r.Outcome == engine.Failed && r.Failure.Step < 0 {
		r.Outcome = outcomeOf(line, r.Lines)
	}
	if message == "" && r.Failure.Step >= 0 {
		r.Failure.Message = r.Steps[r.Failure.Step].Error
	}
}

func outcomeOf(last string, lines []string) engine.Outcome {
	for _, l := range append([]string{last}, lines...) {
		for _, v := range verdicts {
			if v.match.MatchString(l) {
				return v.outcome
			}
		}
	}
	return engine.Failed
}

// messageOf returns what buildx's last error says, with and without the words
// before it. Where no line is marked as an error it is the first line: the
// docker CLI says what it refuses before it shows its usage.
func messageOf(lines []string) (message, line string) {
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(lines[i], "ERROR: ") {
			message = lines[i]
			for _, p := range prefixes {
				message = strings.TrimPrefix(message, p)
			}
			return message, lines[i]
		}
	}
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "outlast: ") {
			return l, l
		}
	}
	return "", ""
}

var sourceHead = regexp.MustCompile(`^(.+):(\d+)$`)

// rule stands above and below the excerpt that buildx shows of a file.
const rule = "--------------------"

// sourceOf finds the excerpt of the Dockerfile that buildx shows before its
// last error.
func sourceOf(lines []string) *engine.Source {
	var found *engine.Source
	for i := 0; i+1 < len(lines); i++ {
		head := sourceHead.FindStringSubmatch(lines[i])
		if head == nil || lines[i+1] != rule {
			continue
		}
		for j := i + 2; j < len(lines); j++ {
			if lines[j] != rule {
				continue
			}
			n, err := strconv.Atoi(head[2])
			if err == nil {
				found = &engine.Source{File: head[1], Line: n, Excerpt: strings.Join(lines[i+2:j], "\n")}
			}
			break
		}
	}
	return found
}
