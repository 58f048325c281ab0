// Package redact takes secrets out of text that people will read or hand on:
// passwords and signatures in addresses, headers that log in, values whose name
// says that they are secret, tokens of known forms, and the values of secrets
// that are known. It decides by form alone, and would rather take out too much
// than too little. It does no I/O and imports nothing of the project.
package redact

import (
	"regexp"
	"slices"
	"strings"
)

// Mark stands where a secret stood, as CI systems write it.
const Mark = "***"

// Text returns s without what looks secret. What is left of an address still
// tells host and path.
func Text(s string) string {
	s = privateKeys(s)
	if !strings.Contains(s, "\n") {
		return line(s)
	}
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString(line(l))
	}
	return b.String()
}

// privateKeys takes out what stands between the first and the last line of
// private keys, and all that follows where the last line is missing.
func privateKeys(s string) string {
	var b strings.Builder
	for {
		begin := privateKey.FindStringIndex(s)
		if begin == nil {
			return b.String() + s
		}
		b.WriteString(s[:begin[1]] + Mark)
		s = s[begin[1]:]
		end := strings.Index(s, "-----END ")
		if end < 0 {
			return b.String()
		}
		s = s[end:]
	}
}

var privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----`)

// line is Text for one line. Most lines have none of the words that the rules
// need, and cost no more than the search for them.
func line(s string) string {
	lower := strings.ToLower(s)
	for _, r := range rules {
		if slices.ContainsFunc(r.needs, func(n string) bool { return strings.Contains(lower, n) }) {
			s = r.match.ReplaceAllStringFunc(s, func(found string) string {
				return r.put(r.match.FindStringSubmatch(found))
			})
		}
	}
	return s
}

// A rule takes one form of secret out.
type rule struct {
	name  string
	needs []string // in lower case; the rule is tried where a line has one of them
	match *regexp.Regexp
	put   func(groups []string) string // what stands in the place of a match
}

// keep puts back the first group, and the mark.
func keep(groups []string) string { return groups[1] + Mark }

// secretWord is a part of a name that says that the value is secret. One that
// has other meanings, such as key, counts only with what makes it one.
const secretWord = `(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|api[_\-]?key|access[_\-]?key|private[_\-]?key|signing[_\-]?key|encryption[_\-]?key|account[_\-]?key|_auth|x-amz-(?:signature|credential|security-token)|connection[_\-]?string)`

// secretWords are the beginnings of those words.
var secretWords = []string{"pass", "pwd", "secret", "token", "credential", "key", "_auth", "x-amz-", "string"}

// name is a name with such a word in it.
const name = `[\w.\-]*` + secretWord + `[\w.\-]*`

// value is what follows: in quotes, or up to what ends a word.
const value = `(?:\\?"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'&,;)\]}>` + "`" + `]+)`

var rules = []rule{
	{"login in an address", []string{"://"},
		regexp.MustCompile(`([A-Za-z][\w+.\-]*://)[^/\s"'<>@?#]*(?:[^\s"'<>/?#]*@)+`), func(g []string) string { return g[1] + Mark + "@" }},
	{"query of an address", []string{"?"},
		regexp.MustCompile(`(https?://[^\s"'<>?]*|/[^\s"'<>?]*)\?([^\s"'<>` + "`" + `]*=[^\s"'<>` + "`" + `]*)`), func(g []string) string { return g[1] + "?" + query(g[2]) }},
	{"login header", []string{"authorization"},
		regexp.MustCompile(`(?i)\b(authorization)(\\?["']?\s*[:=]\s*\[?\\?["']?)((?:basic|bearer|digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256)\s+[^"'\r\n\]]+|[^\s"'\]]{16,})`),
		func(g []string) string { return g[1] + g[2] + Mark }},
	{"header", []string{"cookie", "-token", "api-key"},
		regexp.MustCompile(`(?i)\b((?:set-)?cookie|(?:x-[\w\-]*|private|job|deploy)-token|x-[\w\-]*(?:api-key|secret)[\w\-]*)(\\?["']?\s*[:=]\s*\[?\\?["']?)([^"'\r\n\]]+)`),
		func(g []string) string { return g[1] + g[2] + Mark }},
	{"login word", []string{"bearer ", "basic "},
		regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=\-]{8,}`), keep},
	{"named value", secretWords,
		regexp.MustCompile(`(?i)((?:^|[^\w.\-])` + name + `\\?["']?=)(` + value + `)`), keep},
	{"named value of JSON", secretWords,
		regexp.MustCompile(`(?i)(\\?"` + name + `\\?"\s*:\s*)\\?"(?:[^"\\]|\\[^"]|\\"[^,}\s])*\\?"`), func(g []string) string { return g[1] + `"` + Mark + `"` }},
	{"named value of YAML", secretWords,
		regexp.MustCompile(`(?i)((?:^|\s)(?:-\s+)?[\w.\-]*` + secretWord + `\s*:\s+)([A-Za-z0-9+/=_.~\-]{12,})`), yaml},
	{"flag", secretWords,
		regexp.MustCompile(`(?i)((?:^|\s)--?` + name + `\s+)(` + value + `)`), flag},
	{"known token", []string{"gh", "gl", "npm_", "akia", "asia", "aroa", "xox", "aiza", "ya29", "dckr_", "pypi-", "hf_", "sk-", "sg.", "hv", "eyj"},
		regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|rt|dt|ptt|cbt)-[\w\-]{16,}|npm_[A-Za-z0-9]{20,}|(?:AKIA|ASIA|AROA)[0-9A-Z]{16}|xox[abeoprs]-[\w\-]{10,}|AIza[\w\-]{30,}|ya29\.[\w\-.]{16,}|dckr_(?:pat|oat)_[\w\-]{16,}|pypi-[\w\-]{32,}|hf_[A-Za-z0-9]{24,}|sk-[\w\-]{24,}|SG\.[\w\-]{16,}\.[\w\-]{16,}|hv[sb]\.[\w\-]{20,}|eyJ[\w\-]{8,}\.[\w\-]{8,}(?:\.[\w\-]*)?)`),
		func([]string) string { return Mark }},
}

// harmless are keys of queries that tell what was asked and no secret.
var harmless = []string{"ns", "scope", "service", "digest", "go-get", "version", "comp", "restype", "mount", "from", "n", "last"}

// query keeps the harmless pairs of a query; one mark stands for all others.
func query(s string) string {
	var kept []string
	lost := false
	for pair := range strings.SplitSeq(s, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if slices.Contains(harmless, key) {
			kept = append(kept, pair)
			continue
		}
		lost = true
	}
	if lost {
		kept = append(kept, Mark)
	}
	return strings.Join(kept, "&")
}

// yaml takes the value only where it has a digit and a letter: what follows
// "token:" in an error is mostly a word.
func yaml(groups []string) string {
	letter := strings.ContainsFunc(groups[2], func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' })
	if letter && strings.ContainsAny(groups[2], "0123456789") {
		return groups[1] + Mark
	}
	return groups[0]
}

// flag leaves --secret alone, whose value tells where a secret is.
func flag(groups []string) string {
	if strings.TrimSpace(groups[1]) == "--secret" {
		return groups[0]
	}
	return groups[1] + Mark
}

// minimum is the length below which a known value is too common to be looked
// for: it would take words out of sentences.
const minimum = 6

// A Redactor also knows the values of secrets, and takes them out wherever they
// stand. The zero value and nil know none. It may be used from many places at
// once.
type Redactor struct {
	values []string // longest first
}

var secretName = regexp.MustCompile(`(?i)` + secretWord)

// Secret reports whether a variable or an argument of this name holds a
// secret.
func Secret(name string) bool { return secretName.MatchString(name) }

// Of returns a Redactor for the secrets among pairs NAME=VALUE, of an
// environment or of build arguments: those whose name says so, and the logins
// in addresses.
func Of(pairs ...string) *Redactor {
	r := new(Redactor)
	for _, p := range pairs {
		key, v, _ := strings.Cut(p, "=")
		if Secret(key) {
			r.add(v)
			for line := range strings.Lines(v) {
				r.add(strings.TrimSpace(line))
			}
		}
		if m := userinfo.FindStringSubmatch(v); m != nil {
			r.add(m[1])
		}
	}
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
	r.values = slices.Compact(r.values)
	return r
}

var userinfo = regexp.MustCompile(`://[^/\s:@]*:([^/\s@]+)@`)

func (r *Redactor) add(v string) {
	if len(v) >= minimum && !plain(v) {
		r.values = append(r.values, v)
	}
}

// plain reports whether a value is one of those that stand in for secrets.
func plain(v string) bool {
	return slices.Contains([]string{"false", "disabled", "enabled", "default", "undefined", "production", "development"}, strings.ToLower(v)) ||
		strings.HasPrefix(v, "/") && !strings.ContainsAny(v, "+=") // a path to it
}

// Text returns s without the values that r knows and what else looks secret.
func (r *Redactor) Text(s string) string {
	if r != nil {
		for _, v := range r.values {
			s = strings.ReplaceAll(s, v, Mark)
		}
	}
	return Text(s)
}

// Args returns arguments of a command line without secrets: also where a value
// stands in an argument of its own behind a flag.
func (r *Redactor) Args(args []string) []string {
	clean := make([]string, len(args))
	for i, a := range args {
		if i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "=") && Secret(args[i-1]) && args[i-1] != "--secret" {
			clean[i] = Mark
			continue
		}
		clean[i] = r.Text(a)
	}
	return clean
}

// ForBuild returns a Redactor for one build with these arguments of `docker
// buildx build` in this environment: it knows the secrets of both, those of
// build arguments, and the variables that --secret gives to the build.
func ForBuild(args, env []string) *Redactor {
	pairs := slices.Clone(env)
	for i, a := range args {
		flag, value, ok := strings.Cut(a, "=")
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		switch flag {
		case "--build-arg":
			pairs = append(pairs, value)
		case "--secret":
			pairs = append(pairs, given(value, env)...)
		}
	}
	return Of(pairs...)
}

// given returns the variables that a --secret hands on, as pairs whose name
// says that they are secret.
func given(spec string, env []string) []string {
	var pairs []string
	for field := range strings.SplitSeq(spec, ",") {
		key, name, _ := strings.Cut(field, "=")
		if key != "env" && key != "id" {
			continue
		}
		for _, e := range env {
			if k, v, _ := strings.Cut(e, "="); k == name {
				pairs = append(pairs, "secret="+v)
			}
		}
	}
	return pairs
}
