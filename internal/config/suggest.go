package config

import (
	"strings"
)

// unknown says that name is no key (or flag, or variable), which one was
// probably meant, and which there are.
func unknown(what, name string, allowed []string) string {
	text := "unknown " + what
	if near := nearest(name, allowed); near != "" {
		text += "; did you mean " + near + "?"
		if what == "key" {
			return text + " allowed: " + strings.Join(allowed, ", ")
		}
		return text
	}
	return text + listed("allowed", allowed)
}

func listed(word string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "; " + word + ": " + strings.Join(list, ", ")
}

// nearest returns the word that name was probably meant to be, or "": at most
// a third of its letters may differ.
func nearest(name string, words []string) string {
	if len(name) > 64 {
		return ""
	}
	best, least := "", len(name)/3+1
	for _, w := range words {
		if d := distance(strings.ToLower(name), strings.ToLower(w)); d < least || d == least && best == "" && d <= 1 {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to add, to drop, to change or to swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
