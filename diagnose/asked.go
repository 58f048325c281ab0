package diagnose

import (
	"strconv"
	"strings"
)

// amounts are the ways in which tools say how much room or memory they asked
// for and did not get: a number, and the unit of it where there is one.
var amounts = []*Expression{
	re(`(?i)At least ([\d.]+) ?([KMGT]i?B) more space needed`),                                   // dnf, yum
	re(`(?i)Space needed: ([\d.,]+) ?([kMGT]i?B)`),                                               // apt 3
	re(`(?i)After this operation, ([\d.,]+) ?([kMGT]i?B) of additional disk space will be used`), // apt
	re(`(?i)(?:required|needs?|needed|requires):? (?:at least )?([\d.,]+) ?([kMGT]i?B|bytes)\b`), // installers
	re(`(?i)(?:failed to map|memory allocation of|out of memory allocating|unable to allocate|failed to allocate|cannot allocate|couldn't allocate|needed) ([\d.,]+) ?([kMGT]i?B|bytes)\b`), // java, rust, gcc, numpy
}

// units are those of sizes, in lower case.
var units = map[string]float64{"": 1, "bytes": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}

// maxAmount bounds what is believed.
const maxAmount = 1 << 50

// asked returns how much the lines say was asked for, in bytes: the largest
// that any of the last ones says, and 0 where none does.
func (l *log) asked() int64 {
	var most float64
	for _, line := range l.lines[max(0, len(l.lines)-500):] {
		for _, e := range amounts {
			m := e.FindStringSubmatch(line.text)
			if m == nil {
				continue
			}
			n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", ""), 64)
			if bytes := n * units[strings.ToLower(m[2])]; err == nil && bytes <= maxAmount {
				most = max(most, bytes)
			}
		}
	}
	return int64(most)
}
