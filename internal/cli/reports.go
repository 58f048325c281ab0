package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// A reportFile is a report that is written when the build is over.
type reportFile struct {
	path   string
	format report.Format
}

// reportFiles reads the values of --report, before the build begins.
func reportFiles(paths []string) ([]reportFile, error) {
	var files []reportFile
	for _, path := range paths {
		f, err := report.FormatOf(path)
		if err != nil {
			return nil, &usageError{fmt.Errorf("--report %s: %w", path, err), "as in --report report.html --report report.md"}
		}
		files = append(files, reportFile{path, f})
	}
	return files, nil
}

// writeReports writes the reports, and tells the CI system that runs this
// process what it can take. The build is over by now, and what goes wrong here
// changes nothing in how it ended.
func (a *app) writeReports(files []reportFile, run record.Run, s config.Settings, silent bool) {
	told := slices.DeleteFunc(slices.Clone(ciSystems), func(c ciSystem) bool { return a.getenv(c.variable) != "true" })
	if len(files)+len(told) == 0 {
		return
	}
	p := report.Page{Run: run, Advice: a.advice(run, s)}
	for _, f := range files {
		var b strings.Builder
		err := f.format.Write(&b, p)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(f.path), 0o755)
		}
		if err == nil {
			err = replaceFile(f.path, []byte(b.String()))
		}
		if err != nil {
			a.say.warning(fmt.Sprintf("no report was written: %v", err))
			continue
		}
		if !silent {
			a.say.plain("report: " + f.path)
		}
	}
	for _, c := range told {
		if err := c.tell(a, p, silent); err != nil {
			a.say.warning(fmt.Sprintf("%s was not told of all: %v", c.name, err))
		}
	}
}

// advice is what the last month of builds of run's repository speaks for. It is
// nothing where there is no history, and whoever keeps run has said why.
func (a *app) advice(run record.Run, s config.Settings) []report.Advice {
	if !s.History.Keep || s.History.Path == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), keeping)
	defer cancel()
	store, err := history.Open(ctx, s.History.Path, history.Options{MaxAge: s.History.Age, MaxSize: s.History.Size})
	if err != nil {
		return nil
	}
	defer store.Close()
	now := time.Now()
	days, err := store.Days(ctx, now.AddDate(0, -1, 0), now, run.Context.Repo)
	if err != nil {
		return nil
	}
	all, _ := recommended(stats.Sum(days), s)
	return all
}

// A ciSystem takes more than a log.
type ciSystem struct {
	name, variable string // the variable is "true" there
	tell           func(a *app, p report.Page, silent bool) error
}

var ciSystems = []ciSystem{
	{"GitHub Actions", "GITHUB_ACTIONS", (*app).tellGitHub},
	{"GitLab", "GITLAB_CI", (*app).tellGitLab},
}

// maxSummary is what GitHub takes of a job summary from one step, less some for
// what other commands of the step write.
const maxSummary = 1000 << 10

// tellGitHub writes the job summary and the step's outputs, and puts failures
// beside the Dockerfile's line.
func (a *app) tellGitHub(p report.Page, silent bool) error {
	var failed []error
	if path := a.getenv("GITHUB_STEP_SUMMARY"); path != "" {
		text := report.Markdown(p)
		if len(text) > maxSummary {
			text = "The report is too long for a summary: write it into a file with --report.\n"
		}
		failed = append(failed, appendTo(path, text+"\n"))
	}
	if path := a.getenv("GITHUB_OUTPUT"); path != "" {
		failed = append(failed, appendTo(path, report.GitHubOutput(report.Values(p.Run), "outlast-"+rand.Text())))
	}
	if !silent {
		for _, line := range report.Annotations(p.Run, a.inRepository) {
			fmt.Fprintln(a.stderr, line)
		}
	}
	return errors.Join(failed...)
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// inRepository is a file as GitHub names it: from the root of the repository;
// empty where it is not in there.
func (a *app) inRepository(file string) string {
	root := a.getenv("GITHUB_WORKSPACE")
	path, err := filepath.Abs(file)
	if err != nil || root == "" {
		return ""
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// tellGitLab writes the report as a folded section of the log.
func (a *app) tellGitLab(p report.Page, silent bool) error {
	if silent {
		return nil
	}
	_, err := fmt.Fprint(a.stderr, report.GitLabSection("outlast_report", "Outlast: report of the build", report.Text(p), time.Now()))
	return err
}
