package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A workflow is what is tried here of a file for GitHub Actions: the shell of
// its steps, and what they hand on.
type workflow struct {
	Jobs map[string]struct {
		Outputs map[string]string
		Env     map[string]string
		Steps   []struct {
			ID, Name, Run string
			Env           map[string]string
		}
	}
}

// A runner plays GitHub's part: it runs the shell of jobs, each step with its
// environment, and keeps the outputs. Steps that use others' actions it leaves
// out.
type runner struct {
	b       *bench
	t       *testing.T
	values  map[string]string // of expressions: "github.sha", "inputs.context"
	temp    string
	summary string
	log     strings.Builder
}

func (b *bench) runner(t *testing.T, values map[string]string) *runner {
	t.Helper()
	temp := t.TempDir()
	r := &runner{b: b, t: t, temp: temp, summary: filepath.Join(temp, "summary"), values: map[string]string{
		"github.repository": "acme/app", "github.sha": "0123456789abcdef0123456789abcdef01234567",
		"github.event_name": "pull_request", "github.ref_type": "branch", "github.ref_name": "main", "runner.temp": temp,
	}}
	maps.Copy(r.values, values)
	return r
}

// job runs the steps of a job until one fails.
func (r *runner) job(w workflow, name string) (failed bool) {
	r.t.Helper()
	job, ok := w.Jobs[name]
	if !ok {
		r.t.Fatalf("there is no job %q", name)
	}
	steps := make(map[string]string)
	for _, s := range job.Steps {
		if s.Run == "" || failed {
			continue
		}
		output := filepath.Join(r.temp, "output")
		if err := os.WriteFile(output, nil, 0o600); err != nil {
			r.t.Fatal(err)
		}
		cmd := r.b.command(r.t, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
		cmd.Env = append(cmd.Env, "GITHUB_ACTIONS=true", "GITHUB_WORKSPACE="+r.values["github.workspace"], "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+r.summary, "RUNNER_TEMP="+r.temp,
			"PATH="+filepath.Dir(r.b.outlast)+":"+os.Getenv("PATH"))
		for _, env := range []map[string]string{job.Env, s.Env} {
			for key, value := range env {
				cmd.Env = append(cmd.Env, key+"="+r.expand(value))
			}
		}
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(&r.log, "--- %s: %v\n%s", s.Name, err, out)
		failed = failed || err != nil
		for key, value := range outputs(r.read(output)) {
			steps["steps."+s.ID+".outputs."+key] = value
		}
		maps.Copy(r.values, steps)
	}
	for key, value := range job.Outputs {
		r.values["needs."+name+".outputs."+key] = r.expand(value)
	}
	for key := range steps {
		delete(r.values, key)
	}
	return failed
}

// outputs reads the file of a step's outputs: NAME=VALUE, or NAME<<END and the
// lines up to END.
func outputs(text string) map[string]string {
	all := make(map[string]string)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if key, end, ok := strings.Cut(lines[i], "<<"); ok {
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			all[key] = strings.Join(value, "\n")
			continue
		}
		key, value, _ := strings.Cut(lines[i], "=")
		all[key] = value
	}
	return all
}

func (r *runner) output(job, name string) string { return r.values["needs."+job+".outputs."+name] }

func (r *runner) read(file string) string {
	r.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

var (
	expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)
	formatted  = regexp.MustCompile(`^format\('([^']*)', ([^)]*)\)$`)
)

func (r *runner) expand(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string { return r.value(expression.FindStringSubmatch(e)[1]) })
}

// value knows as much of GitHub's expressions as our workflows use.
func (r *runner) value(e string) string {
	if a, b, ok := strings.Cut(e, " || "); ok {
		if v := r.value(a); v != "" && v != "false" {
			return v
		}
		return r.value(b)
	}
	if a, b, ok := strings.Cut(e, " && "); ok {
		if v := r.value(a); v == "" || v == "false" {
			return v
		}
		return r.value(b)
	}
	if a, b, ok := strings.Cut(e, " == "); ok {
		return fmt.Sprint(r.value(a) == r.value(b))
	}
	if m := formatted.FindStringSubmatch(e); m != nil {
		return strings.ReplaceAll(m[1], "{0}", r.value(m[2]))
	}
	if strings.HasPrefix(e, "'") {
		return strings.Trim(e, "'")
	}
	return r.values[e]
}

func readWorkflow(t *testing.T, file string) workflow {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

var digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func TestTheWorkflowAssessesBuildsAndReports(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	w := readWorkflow(t, "../.github/workflows/ci.yml")
	inputs := map[string]string{"inputs.context": "examples/conductor-loop", "inputs.image": "registry.example.com/loop", "inputs.platforms": "linux/amd64"}

	t.Run("a build", func(t *testing.T) {
		r := b.runner(t, inputs)
		if r.job(w, "assess") || r.job(w, "build") {
			t.Fatal(r.log.String())
		}
		for name, want := range map[string]string{
			"digest": digest.String(), "status": "^built$", "strategy": "^(optimal|resilient|conservative|emergency)$", "score": `^\d+$`,
		} {
			if got := r.output("build", name); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("output %s: got %q, want %s\n%s", name, got, want, &r.log)
			}
		}
		summary := r.read(r.summary)
		for _, want := range []string{"## Services", "docker.io", "## ✓ built", "| ✓ built |", "Where the time went"} {
			if !strings.Contains(summary, want) {
				t.Errorf("the summary does not say %q:\n%s", want, summary)
			}
		}
	})
	t.Run("a build that fails is reported, too", func(t *testing.T) {
		r := b.runner(t, inputs)
		r.values["github.workspace"] = b.context("FROM alpine:3\nRUN exit 7\n")
		r.values["inputs.context"] = r.values["github.workspace"]
		if r.job(w, "assess") || !r.job(w, "build") {
			t.Fatal(r.log.String())
		}
		if status, got := r.output("build", "status"), r.output("build", "digest"); status != "failed" || got != "" {
			t.Errorf("got status %q and digest %q, want that it failed", status, got)
		}
		if summary := r.read(r.summary); !strings.Contains(summary, "| ✗ failed |") {
			t.Errorf("got the summary\n%s", summary)
		}
		if !strings.Contains(r.log.String(), "\n::error file=Dockerfile,line=2,title=") {
			t.Errorf("got no annotation at the line:\n%s", &r.log)
		}
	})
	t.Run("an assessment that fails stops nothing", func(t *testing.T) {
		r := b.runner(t, inputs)
		r.values["inputs.context"] = "nowhere"
		if r.job(w, "assess") || r.output("assess", "strategy") != "auto" {
			t.Errorf("got strategy %q\n%s", r.output("assess", "strategy"), &r.log)
		}
	})
}

func TestTheStepForOtherWorkflows(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	w := readWorkflow(t, "../build-step.yml")
	job := w.Jobs["build"]
	for i := range job.Steps {
		if job.Steps[i].Env["CONTEXT"] == "." {
			job.Steps[i].Env["CONTEXT"] = "examples/conductor-loop"
		}
	}
	r := b.runner(t, nil)
	if r.job(w, "build") || !digest.MatchString(r.output("build", "digest")) {
		t.Errorf("got digest %q\n%s", r.output("build", "digest"), &r.log)
	}
}
