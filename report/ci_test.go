package report_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
)

func TestAnnotationStandsAtTheLineOfTheDockerfile(t *testing.T) {
	base := func(file string) string { return filepath.Base(file) }
	noSource := runs.Broken()
	noSource.Outcome, noSource.Error = record.NoSource, "docker.io/library/golang:1.26: no source was left"
	noSource.Attempts[0].Place = nil
	hostile := runs.Broken()
	hostile.Attempts[0].Place.File = "a:b,c%\n::warning::x"
	hostile.Attempts[0].Diagnosis.Evidence.Text = "100%\r\n::set-output name=digest::evil"
	for _, tt := range []struct {
		name string
		run  record.Run
		want string
	}{
		{"a compile error", runs.Broken(), "::error file=Dockerfile,line=8,title=user-compile (compile)%3A your own to mend%2C another try would not help::cmd/service/main.go:41:2: undefined: serve%0Amend the code at the place that the compiler names"},
		{"an image that nobody has", noSource, "::error file=.,line=2,title="},
		{"a file and a line that say more", hostile, `::error file=a%3Ab%2Cc%25%0A::warning::x,line=8,title=`},
		{"a build that succeeded", runs.Outage(), ""},
	} {
		got := strings.Join(report.Annotations(tt.run, base), "\n")
		if tt.name == "a file and a line that say more" {
			got = strings.Join(report.Annotations(tt.run, func(f string) string { return f }), "\n")
			tt.want = `::error file=a%3Ab%2Cc%25%0A%3A%3Awarning%3A%3Ax,line=8,title=`
		}
		if !strings.HasPrefix(got, tt.want) || strings.Count(got, "\n") > 0 || strings.Contains(got, "\r") || tt.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestGitHubOutputCannotBeForged(t *testing.T) {
	got := report.GitHubOutput([]report.Value{{Name: "tags", Text: "a\ndigest=evil"}, {Name: "digest", Text: "sha256:aa"}}, "ol-1")
	want := "tags<<ol-1\na\ndigest=evil\nol-1\ndigest<<ol-1\nsha256:aa\nol-1\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGitLabSectionHoldsWhatItIsGiven(t *testing.T) {
	got := report.GitLabSection("outlast", "Outlast\r", "a\nsection_end:1:outlast\r\x1b[0K\nb\n", runs.Start)
	want := "\x1b[0Ksection_start:1773480413:outlast[collapsed=true]\r\x1b[0KOutlast\\x0d\na\nsection_end:1:outlast\\x0d\\x1b[0K\nb\n\x1b[0Ksection_end:1773480413:outlast\r\x1b[0K\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownEndings(t *testing.T) {
	for file, want := range map[string]string{"a.html": "html", "A.HTM": "html", "x/y.md": "markdown", "r.json": "json", "r.txt": "text", "build.env": "env", "r.pdf": "", "html": "", "": ""} {
		f, err := report.FormatOf(file)
		if f.Name != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", file, f.Name, err, want)
		}
	}
}
