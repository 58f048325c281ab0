package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/record"
)

// bundled reads the files of a bundle.
func bundled(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

// A bundle goes to strangers. Each secret is planted where builds have them; the
// engine shows some of them, as ever, but neither the bundle nor a line of
// Outlast's own repeats one.
func TestBundle(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	secrets := map[string]string{
		"a build argument":        "Pl4ntedInAnArgument",
		"a login in an address":   "Pl4ntedInALogin",
		"a token in a line":       "ghp_" + strings.Repeat("Pl4nted9", 4) + "abcd",
		"a signature of a query":  "Pl4ntedInAQuery0123456789abcdef",
		"a header in a line":      "Pl4ntedInAHeader",
		"a variable in a command": "Pl4ntedInAVariable",
	}
	address, _ := flaky(t, 1<<30)
	from := "http://bob:" + secrets["a login in an address"] + "@" + address + "/file?X-Amz-Signature=" + secrets["a signature of a query"]
	dir := b.context(`FROM alpine:3
ARG API_TOKEN
RUN echo "given: $API_TOKEN" && \
    echo "remote: ` + secrets["a token in a line"] + ` is not allowed" && \
    echo "Authorization: Bearer ` + secrets["a header in a line"] + `" && \
    NPM_TOKEN=` + secrets["a variable in a command"] + ` true && \
    echo "GET ` + from + `: 503 Service Unavailable" && \
    wget -qO /got "` + from + `"
`)
	arg := "API_TOKEN=" + secrets["a build argument"]
	held := func(t *testing.T, name, text string) {
		t.Helper()
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s:\n%s", name, what, text)
			}
		}
	}
	own := func(r result) string {
		var lines []string
		for l := range strings.Lines(r.text()) {
			if strings.HasPrefix(l, "outlast: ") {
				lines = append(lines, l)
			}
		}
		return strings.Join(lines, "")
	}
	ticket := filepath.Join(b.dir, "deep", "ticket")

	t.Run("of a failure has all there is but secrets", func(t *testing.T) {
		got := b.build(dir, "--bundle", ticket, "--attempts", "2", "--build-arg", arg)
		got.want(t, 3, "outlast: bundle: "+ticket, secrets["a token in a line"])
		held(t, "the terminal", own(got))
		files := bundled(t, ticket)
		want := []string{"record.json", "report.txt", "scorecard.json", "settings.yaml", "step.log", "versions.json"}
		if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, want) {
			t.Errorf("got %q, want %q", names, want)
		}
		for name, text := range files {
			held(t, name, text)
		}
		for name, part := range map[string]string{
			"report.txt": "another try or another route can help", "record.json": `"diagnosis"`, "step.log": "503 Service Unavailable",
			"versions.json": "buildkit", "settings.yaml": "build:", "scorecard.json": "gcr.io",
		} {
			if !strings.Contains(files[name], part) {
				t.Errorf("%s has no %q:\n%s", name, part, files[name])
			}
		}
	})
	t.Run("of a success takes its place", func(t *testing.T) {
		got := b.build(b.context("FROM alpine:3\nARG API_TOKEN\nRUN echo \"$API_TOKEN\"\n"), "--bundle", ticket, "--build-arg", arg)
		got.want(t, 0, "outlast: bundle: "+ticket)
		files := bundled(t, ticket)
		want := []string{"record.json", "report.txt", "settings.yaml", "versions.json"}
		if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, want) {
			t.Errorf("got %q, want %q", names, want)
		}
		for name, text := range files {
			held(t, name, text)
		}
	})
	t.Run("does not replace a folder of somebody's", func(t *testing.T) {
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, "thesis.txt"), []byte("the only copy"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := b.build(dir, "--bundle", other)
		got.want(t, 2, "the folder holds thesis.txt", "name a folder that is not there yet")
		if strings.Contains(got.text(), "#1 ") {
			t.Errorf("the build began:\n%s", got.text())
		}
		if kept := bundled(t, other); len(kept) != 1 || kept["thesis.txt"] != "the only copy" {
			t.Errorf("got %q", kept)
		}
	})
	t.Run("and the history tells the same, without secrets", func(t *testing.T) {
		folder := filepath.Join(b.dir, "state", "outlast")
		store, err := history.Open(t.Context(), folder, history.Options{Warn: func(w string) { t.Error(w) }})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		runs, err := store.Runs(t.Context(), history.Query{})
		if err != nil || len(runs) < 2 {
			t.Fatalf("got %d runs, %v; want those above", len(runs), err)
		}
		text, err := json.Marshal(runs)
		if err != nil {
			t.Fatal(err)
		}
		held(t, "the history", string(text))
		raw, err := os.ReadFile(store.Path())
		if err != nil {
			t.Fatal(err)
		}
		held(t, "the file of the history", string(raw))
		failed := runs[slices.IndexFunc(runs, func(r record.Run) bool { return r.Outcome == record.NoSource })]
		if len(failed.Attempts) != 2 || len(failed.Attempts[0].Ran) == 0 || failed.Attempts[0].Diagnosis == nil || len(failed.Needs) == 0 || len(failed.Card.Categories) == 0 {
			t.Errorf("got %+v", failed)
		}
		if !slices.ContainsFunc(failed.Services, func(s record.Service) bool { return s.Origin && s.Latency.Count() > 0 }) {
			t.Errorf("got %+v, want an origin with the times of its answers", failed.Services)
		}
	})
}
