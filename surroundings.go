package outlast

import (
	"bufio"
	"bytes"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/record"
)

// maxWord bounds what a record keeps of a place's names, in bytes.
const maxWord = 255

// A ciSystem says by which variables a CI system tells where a job runs.
type ciSystem struct {
	name, sign string // the variable that is set there and nowhere else
	context    func(get func(string) string) record.Context
}

// ciSystems are those whose variables are documented: GitHub's "Variables
// reference", GitLab's "Predefined CI/CD variables", Jenkins' "Using
// environment variables" with those of its Git plugin.
var ciSystems = []ciSystem{
	{"github", "GITHUB_ACTIONS", func(get func(string) string) record.Context {
		repo := get("GITHUB_SERVER_URL") + "/" + get("GITHUB_REPOSITORY")
		return record.Context{Repo: bareRepo(repo), Branch: first(get("GITHUB_HEAD_REF"), get("GITHUB_REF_NAME")), Commit: get("GITHUB_SHA"),
			Job: workflowJob(get("GITHUB_WORKFLOW"), get("GITHUB_JOB")), URL: repo + "/actions/runs/" + get("GITHUB_RUN_ID")}
	}},
	{"gitlab", "GITLAB_CI", func(get func(string) string) record.Context {
		return record.Context{Repo: bareRepo(get("CI_PROJECT_URL")), Branch: first(get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"), get("CI_COMMIT_REF_NAME")),
			Commit: get("CI_COMMIT_SHA"), Job: get("CI_JOB_NAME"), URL: get("CI_JOB_URL")}
	}},
	{"jenkins", "JENKINS_URL", func(get func(string) string) record.Context {
		return record.Context{Repo: bareRepo(get("GIT_URL")), Branch: first(get("CHANGE_BRANCH"), get("BRANCH_NAME"), strings.TrimPrefix(get("GIT_BRANCH"), "origin/")),
			Commit: get("GIT_COMMIT"), Job: get("JOB_NAME"), URL: get("BUILD_URL")}
	}},
}

// Surroundings tells where a run in the folder dir takes place: by the
// variables of CI systems in env, os.Environ's own where it is nil, and what
// they leave open by the .git folder that dir belongs to. No program is
// started, and no more is read than a few small files.
func Surroundings(env []string, dir string) record.Context {
	get := func(name string) string {
		v, _ := lookupIn(env, name)
		return v
	}
	var c record.Context
	for _, s := range ciSystems {
		if get(s.sign) != "" {
			c = s.context(get)
			c.CI = s.name
			break
		}
	}
	g := gitContext(dir)
	c.Repo, c.Branch, c.Commit = first(c.Repo, g.Repo), first(c.Branch, g.Branch), first(c.Commit, g.Commit)
	for _, text := range []*string{&c.Repo, &c.Branch, &c.Commit, &c.Job, &c.URL} {
		*text = strings.ToValidUTF8((*text)[:min(len(*text), maxWord)], "")
	}
	return c
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// workflowJob puts a slash between those that are not empty.
func workflowJob(a, b string) string { return strings.Trim(a+"/"+b, "/") }

// bareRepo takes off a repository's address what does not name it: the scheme,
// a login, ".git". What is in the form of scp is one too.
func bareRepo(address string) string {
	address = strings.TrimSpace(address)
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Hostname() + u.Path
	} else if host, path, ok := strings.Cut(address, ":"); ok && !strings.Contains(host, "/") {
		address = host[strings.LastIndex(host, "@")+1:] + "/" + path
	}
	address = strings.TrimSuffix(strings.TrimRight(address, "/"), ".git")
	return strings.TrimSuffix(address, "/")
}

// What is read of a .git folder, at most.
const (
	maxParents = 64
	maxHead    = 4 << 10
	maxConfig  = 64 << 10
	maxRefs    = 4 << 20
)

// gitContext reads what .git says of dir: its own files, as gitrepository-layout
// describes them. Git itself would also run what a repository's settings name.
func gitContext(dir string) record.Context {
	var c record.Context
	own, common := gitFolder(dir)
	if own == "" {
		return c
	}
	head := strings.TrimSpace(string(readSmall(filepath.Join(own, "HEAD"), maxHead)))
	ref, symbolic := strings.CutPrefix(head, "ref: ")
	switch {
	case !symbolic:
		c.Commit = hexOnly(head)
	case strings.HasPrefix(ref, "refs/") && filepath.IsLocal(ref):
		c.Branch = strings.TrimPrefix(ref, "refs/heads/")
		c.Commit = refOf(own, common, ref)
	}
	c.Repo = bareRepo(originOf(readSmall(filepath.Join(common, "config"), maxConfig)))
	return c
}

// gitFolder finds the .git folder that dir belongs to, and the one that has
// what its worktrees share.
func gitFolder(dir string) (own, common string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", ""
	}
	for range maxParents {
		path := filepath.Join(dir, ".git")
		if info, err := os.Stat(path); err == nil {
			if !info.IsDir() {
				to, ok := strings.CutPrefix(string(readSmall(path, maxHead)), "gitdir: ")
				if !ok {
					return "", ""
				}
				path = against(dir, strings.TrimSpace(to))
			}
			if to := strings.TrimSpace(string(readSmall(filepath.Join(path, "commondir"), maxHead))); to != "" {
				return path, against(path, to)
			}
			return path, path
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "", ""
}

// against is path, which starts at dir where it is relative.
func against(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// refOf returns the commit of a ref, loose or packed.
func refOf(own, common, ref string) string {
	for _, dir := range []string{own, common} {
		if c := hexOnly(strings.TrimSpace(string(readSmall(filepath.Join(dir, ref), maxHead)))); c != "" {
			return c
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(readSmall(filepath.Join(common, "packed-refs"), maxRefs)))
	for lines.Scan() {
		if commit, name, ok := strings.Cut(lines.Text(), " "); ok && name == ref {
			return hexOnly(commit)
		}
	}
	return ""
}

// originOf returns the address of the remote "origin" in a git configuration.
func originOf(config []byte) string {
	section := ""
	for line := range strings.Lines(string(config)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == `[remote "origin"]` && strings.TrimSpace(key) == "url" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// hexOnly is s where it is the name of a commit, else empty.
func hexOnly(s string) string {
	if len(s) != 40 && len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// readSmall returns up to most bytes of a file; nil where it is none.
func readSmall(path string, most int64) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return data
}
