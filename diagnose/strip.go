package diagnose

import (
	"strings"
)

var (
	// Colours, cursor movements, titles and links of terminals.
	ansi = re(`\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-B]|[=>78MDEHc])`)

	// GitLab's section marks, before or after colours were taken off.
	section = re(`section_(?:start|end):\d+:[\w.\-]+(?:\[[^\]]*\])?\s*`)

	// What stands in front of a line. Each may follow another: a time, then
	// the name of a service, then a step.
	prefixes = []*Expression{
		re(`^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?(?:\s+UTC)?[ \t]*`), // 2025-07-14T14:26:12.000Z
		re(`^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?[ \t]+`),                                                    // 21:53:25, [15:38:01.714]
		re(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?\s+`),
		re(`^[^\t]{1,100}\t[^\t]{1,200}\t\x{feff}?\d{4}-\d\d-\d\dT[\d:.]+Z ?`), // job, step: gh run view --log
		re(`^(?:##\[(?:error|warning|debug|command|group|section|notice)\]|::(?:error|warning|notice|debug|group)[^:]*::)`),
		re(`^[\w.\-]+ [\w.\-]+\[\d+\]: `),         // journal: host program[123]:
		re(`^[0-9a-f]{12}: `),                     // the id of a builder
		re(`^[A-Za-z0-9][\w.\-]{0,60} {0,40}\| `), // compose: web-1  |
		re(`^\d{1,2} [A-Z]{3,4} \| `),             // the end of a date: 00 CEST |
		re(`^[ \t]{0,8}[|│┃] `),                   // drawn boxes
		re(`^\[[a-z][\w.\-]{0,40}\] `),            // [builder] of build packs
		re(`^\d{1,5}\.\d{1,3} `),                  // BuildKit, in the block of an error: 3.456
		re(`^ ?=> => # `),                         // BuildKit on a terminal
		re(`^[>|] `),
	}

	// Messages within a structured log: time="…" level=error msg="…".
	logfmt = re(`^time="?[^" ]+"? level=(\w+) msg="((?:[^"\\]|\\.)*)"?(?:.*? error="((?:[^"\\]|\\.)*)"?)?(?:.*? host=([\w.\-:]+))?`)

	// A step of BuildKit's plain output: "#12 3.456 text", "#12 [2/3] RUN …".
	stepPrefix = re(`^#(\d+)(?: \d+\.\d+)?(?: |$)`)
)

// plain takes the dress off a line: terminal codes, carriage returns, times,
// and the prefixes of CI systems and builders. It returns the number of
// BuildKit's step, if the line has one, and the text.
func plain(s string) (step, text string) {
	if strings.IndexByte(s, 0x1b) >= 0 {
		s = ansi.ReplaceAllString(s, "")
	}
	s = strings.TrimRight(s, "\r\n \t")
	if strings.Contains(s, "section_") {
		s = section.ReplaceAllString(s, "")
	}
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ToValidUTF8(s, "\ufffd")
	for range 8 {
		s = strings.TrimLeft(s, " \t")
		if m := stepPrefix.FindStringSubmatch(s); m != nil {
			step, s = m[1], s[len(m[0]):]
			continue
		}
		cut := false
		for _, p := range prefixes {
			if loc := p.FindStringIndex(s); loc != nil && loc[1] > 0 {
				s, cut = s[loc[1]:], true
				break
			}
		}
		if !cut {
			break
		}
	}
	if m := logfmt.FindStringSubmatch(s); m != nil {
		level := m[1]
		s = m[2]
		if m[3] != "" {
			s += ": " + m[3]
		}
		if m[4] != "" {
			s += " host=" + m[4]
		}
		s = strings.NewReplacer(`\"`, `"`, `\n`, " ", `\\`, `\`).Replace(s)
		if level == "warning" || level == "info" || level == "debug" {
			s = level + ": " + s
		}
	}
	return step, strings.TrimRight(s, " \t")
}
