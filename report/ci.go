package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// A Value is one thing that later steps of a pipeline ask for.
type Value struct {
	Name string // a word in lower case
	Text string
}

// Values are what later steps of a pipeline ask for. All names are always
// there; what is not known is empty.
func Values(r record.Run) []Value {
	digest, tags, score := "", "", ""
	for _, i := range r.Images {
		digest, tags = i.Digest, strings.Join(i.Tags, "\n")
	}
	if len(r.Card.Categories) > 0 {
		score = fmt.Sprint(r.Card.Percent())
	}
	return []Value{
		{"outcome", string(r.Outcome)},
		{"digest", digest},
		{"tags", tags},
		{"strategy", r.Strategy},
		{"score", score},
		{"attempts", fmt.Sprint(len(r.Attempts))},
	}
}

// writeEnv writes the values as GitLab's artifacts:reports:dotenv reads them:
// names in capitals, one line each.
func writeEnv(w io.Writer, p Page) error {
	var b strings.Builder
	for _, v := range Values(p.Run) {
		fmt.Fprintf(&b, "OUTLAST_%s=%s\n", strings.ToUpper(v.Name), strings.ReplaceAll(flat(strings.ReplaceAll(v.Text, "\n", " ")), `\`, "/"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// GitHubOutput is values as the file behind $GITHUB_OUTPUT takes them. The
// delimiter must be one that nobody can guess: what stands behind it in a
// value would be another output.
func GitHubOutput(values []Value, delimiter string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", v.Name, delimiter, v.Text, delimiter)
	}
	return b.String()
}

// data escapes what stands in a workflow command's text, property what stands
// in its properties, as actions/toolkit's command.ts does.
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// Annotations are the workflow commands by which GitHub Actions shows why a run
// failed beside the line of the Dockerfile. The place is made by at, which
// gets a path of the record and returns it as the repository has it, or "".
func Annotations(r record.Run, at func(file string) string) []string {
	if len(r.Attempts) == 0 || r.Outcome == record.Built || r.Outcome == record.Interrupted {
		return nil
	}
	a := r.Attempts[len(r.Attempts)-1]
	if a.Kind == fault.None {
		return nil
	}
	title, text := verdictOf(a), saying(a)
	if a.Diagnosis != nil && a.Diagnosis.Hint != "" {
		text += "\n" + a.Diagnosis.Hint
	}
	var place string
	if file, line := placeOf(r, a); line > 0 {
		if file = at(file); file != "" {
			place = fmt.Sprintf("file=%s,line=%d,", property.Replace(file), line)
		}
	}
	return []string{fmt.Sprintf("::error %stitle=%s::%s", place, property.Replace(Visible(cut(title))), data.Replace(seen(text)))}
}

// seen is Visible that leaves the ends of lines.
func seen(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = Visible(l)
	}
	return strings.Join(lines, "\n")
}

// placeOf is the line that failed: as the engine named it, else that of the
// image which the error names.
func placeOf(r record.Run, a record.Attempt) (file string, line int) {
	if a.Place != nil {
		return a.Place.File, a.Place.Line
	}
	for _, n := range r.Needs {
		if n.Line > 0 && n.Ref != "" && strings.Contains(r.Error, n.Ref) {
			return "", n.Line
		}
	}
	return "", 0
}

// GitLabSection is lines as a section of a GitLab job's log that is folded:
// its name is a word, its head what is seen.
func GitLabSection(name, head, text string, at time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", at.Unix(), name, Visible(head))
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%s\n", Visible(strings.TrimSuffix(line, "\n")))
	}
	fmt.Fprintf(&b, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", at.Unix(), name)
	return b.String()
}

// Markdown is the report for the summary of a GitHub job.
func Markdown(p Page) string { return written(writeMarkdown, p) }

// Text is the report for people who read logs.
func Text(p Page) string { return written(writeText, p) }

func written(write func(io.Writer, Page) error, p Page) string {
	var b strings.Builder
	_ = write(&b, p) // a strings.Builder takes everything
	return b.String()
}
