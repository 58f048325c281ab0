package diagnose

import (
	"strings"
)

// out is a line that a program wrote, without its dress.
type out struct {
	number int
	text   string
	lower  string // for the literals that patterns need
	step   string // BuildKit's number of the step, "" where there is none
	warn   bool   // a warning, or a try that was repeated
}

// log is the output of a build with its structure.
type log struct {
	table   []entry
	lines   []out
	command []string // instructions and commands that failed or ran last: echoes, not output
	failed  string   // number of the step that failed
	title   string   // what that step does
	ran     bool     // a command of the build failed
	tried   int      // see maxTried
}

var (
	stepFailed = re(`^(?:ERROR|CANCELED)(?::|$)`)
	numbered   = re(`^\s*\d+ \|(?: |\t|$)`)
	excerpted  = re(`^\s*\d+ \|\s+(?:>>>\s*)?(?i:FROM|RUN|COPY|ADD|ARG|ENV|WORKDIR|USER|CMD|ENTRYPOINT|LABEL|EXPOSE|SHELL|VOLUME|ONBUILD|HEALTHCHECK)\s`)
	arrow      = re(`^\s*\d+ \|\s*>>>\s?(.*)$`)
	rule       = re(`^-{6,}$`)

	// Lines that sound bad and mean nothing.
	noise = re(`^(?:dpkg-preconfigure|debconf|invoke-rc\.d|policy-rc\.d|update-alternatives|ldconfig|find|update-rc\.d): |^fatal: not a git repository|^[Cc]ache not found`)

	// Lines that show a command or an instruction, not what it wrote.
	headers = []*Expression{
		re(`^(?:=> )?(?:> )?(?:(?:ERROR|CACHED|CANCELED) )?\[(?:[\w./:+ \-]+ )?\d+/\d+\] (.*)$`), // [build 2/5] RUN x
		re(`^(?:=> )?(?:> )?(?:(?:ERROR|CACHED|CANCELED) )?(\[internal\] .*)$`),
		re(`^(?:=> )?(?:> )?(?:(?:ERROR|CACHED|CANCELED) )?(?:\[[^\]]*\] )?((?:exporting (?:to|cache)|importing cache manifest|booting buildkit|pushing (?:layers|manifest)|merging manifest list)\b[^"]*?):?$`),
		re(`^(?:=> )?(?:(?:ERROR|CACHED|CANCELED) )?((?:\[\w[\w\-]* ?internal\] )?load (?:metadata|build definition|\.dockerignore|build context|git source).*)$`),
		re(`^Step \d+(?:/\d+)? : (.*)$`),
		re(`^(?:\[\d+/\d+\] )?STEP \d+(?:/\d+)?: (.*)$`),
		re(`^\++ (.+)$`),
		re(`^(?:\[[^\]]*\])?\$ (.+)$`),
		re(`^((?:FROM|RUN) .*|(?:COPY|ADD) [^:]*)$`),
	}

	// Errors that repeat the command in front of what became of it.
	quoting = []*Expression{
		re(`^(.*?)process "(.*)" (did not complete successfully.*)$`),
		re(`^(.*?)executor failed running \[(.*)\](: .*)$`),
		re(`^(.*?)The command '(.*)' (returned a non-zero code.*)$`),
		re(`^(.*?)building at STEP "(.*)"(: .*)$`),
	}
	quotingOpen = re(`^(.*?)(?:process "|executor failed running \[|The command ')(/bin/.*)$`)

	warning = re(`^(?i:\[?warn(?:ing)?\]?\b[:! ]|npm warn|(?:gyp |\w+ )?WARN\b|W: |info\b|\[INFO\]|info: |debug: |notice|\[notice\]|Ign:|Get:|Hit:|Retry|\(?node:\d+\) Warning)|^\w+: WARNING: |\bRetrying\b|will retry|retrying in|\btries remaining|: warning: `)
)

// parse finds the structure of the lines.
func parse(lines []line) *log {
	l := &log{table: table()}
	sources := excerpts(lines)
	names := make(map[string]string) // command of each step
	for i, raw := range lines {
		if sources[i] {
			if m := arrow.FindStringSubmatch(raw.text); m != nil {
				l.called(m[1])
			}
			continue
		}
		// Some tools print their lines with HTML breaks in between.
		for part := range strings.SplitSeq(raw.text, "<br/>") {
			l.add(raw.number, part, names)
		}
	}
	if cmd := names[l.failed]; l.failed != "" && cmd != "" {
		l.command = append(l.command, cmd)
		l.title = cmd
	}
	return l
}

func (l *log) add(number int, text string, names map[string]string) {
	step, s := plain(text)
	if s == "" || rule.MatchString(s) || noise.MatchString(s) {
		return
	}
	if step != "" && stepFailed.MatchString(s) {
		l.failed = step
	}
	for _, h := range headers {
		m := h.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		if step == "" {
			l.called(m[1])
			if strings.HasSuffix(s, ":") || strings.Contains(s, "ERROR") {
				l.title = strings.TrimSuffix(m[1], ":") // the head of an error's block
			}
			return
		}
		if len(names) > 1000 {
			clear(names)
		}
		if names[step] == "" {
			names[step] = m[1]
		}
		return
	}
	for _, q := range quoting {
		if m := q.FindStringSubmatch(s); m != nil {
			l.called(m[2])
			l.ran = true
			s = m[1] + "process <" + strings.Join(programs(m[2]), " ") + "> " + m[3]
			break
		}
	}
	if m := quotingOpen.FindStringSubmatch(s); m != nil {
		l.called(m[2])
		s = m[1] + "process <" + strings.Join(programs(m[2]), " ") + ">"
	}
	l.lines = append(l.lines, out{number: number, text: s, lower: strings.ToLower(s), step: step, warn: warning.MatchString(s)})
}

// maxCommands bounds what is remembered of commands: the last ones matter, and
// each is looked at again for lines that mean something behind some of them.
const maxCommands = 200

func (l *log) called(command string) {
	if len(l.command) == maxCommands {
		l.command = append(l.command[:0], l.command[maxCommands/2:]...)
	}
	l.command = append(l.command, command)
}

// excerpts marks the lines that show source: "  12 | >>> RUN make". A log
// viewer numbers lines in the same way; only a block with an instruction in it
// is an excerpt.
func excerpts(lines []line) []bool {
	marks := make([]bool, len(lines))
	for i := 0; i < len(lines); {
		j, source := i, false
		for j < len(lines) {
			s := strings.TrimRight(undress(lines[j].text), "\r\n")
			if !numbered.MatchString(s) {
				break
			}
			source = source || excerpted.MatchString(s) || arrow.MatchString(s)
			j++
		}
		if source {
			for k := i; k < j; k++ {
				marks[k] = true
			}
		}
		i = max(j, i+1)
	}
	return marks
}

// undress takes off what CI systems put before an excerpt's line.
func undress(s string) string {
	if strings.IndexByte(s, 0x1b) >= 0 {
		s = ansi.ReplaceAllString(s, "")
	}
	for _, p := range prefixes[:4] {
		if loc := p.FindStringIndex(s); loc != nil {
			s = s[loc[1]:]
		}
	}
	return s
}

var word = re(`^[\w.\-+]+$`)

// programs lists what a shell command calls, each once, in order: a guess good
// enough to tell curl from pip.
func programs(command string) []string {
	var names []string
	seen := make(map[string]bool)
	start := true
	for f := range strings.FieldsSeq(splitter.Replace(command)) {
		if f == "\x00" {
			start = true
			continue
		}
		name := f[strings.LastIndexByte(f, '/')+1:]
		if !start || strings.Contains(name, "=") || name == "sh" || name == "bash" || strings.HasPrefix(name, "-") || plainWords[name] {
			continue
		}
		start = false
		if word.MatchString(name) && !seen[name] && len(names) < 12 {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

var splitter = strings.NewReplacer("&&", " \x00 ", "||", " \x00 ", ";", " \x00 ", "|", " \x00 ", "$(", " \x00 ", "`", " \x00 ", "(", " \x00 ", ")", " ", "\"", " ", "'", " ", "\t", " ")

var plainWords = map[string]bool{"set": true, "if": true, "then": true, "do": true, "while": true, "sudo": true, "env": true, "exec": true,
	"RUN": true, "time": true, "else": true, "!": true, "{": true, "}": true, "[": true, "fi": true, "done": true, "dev": true}
