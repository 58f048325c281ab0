package outlast_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/record"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

func TestSurroundingsOfCISystems(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want record.Context
	}{
		{"nowhere", nil, record.Context{}},
		{"GitHub, a pull request", []string{"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=acme/app", "GITHUB_HEAD_REF=fix",
			"GITHUB_REF_NAME=7/merge", "GITHUB_SHA=" + commit, "GITHUB_WORKFLOW=CI", "GITHUB_JOB=image", "GITHUB_RUN_ID=9"},
			record.Context{Repo: "github.com/acme/app", Branch: "fix", Commit: commit, CI: "github", Job: "CI/image", URL: "https://github.com/acme/app/actions/runs/9"}},
		{"GitHub, a push", []string{"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://git.example.com", "GITHUB_REPOSITORY=acme/app", "GITHUB_REF_NAME=main", "GITHUB_RUN_ID=9"},
			record.Context{Repo: "git.example.com/acme/app", Branch: "main", CI: "github", URL: "https://git.example.com/acme/app/actions/runs/9"}},
		{"GitLab", []string{"GITLAB_CI=true", "CI_PROJECT_URL=https://gitlab.example.com/g/sub/app", "CI_COMMIT_REF_NAME=v1.2", "CI_COMMIT_SHA=" + commit,
			"CI_JOB_NAME=build image", "CI_JOB_URL=https://gitlab.example.com/g/sub/app/-/jobs/3"},
			record.Context{Repo: "gitlab.example.com/g/sub/app", Branch: "v1.2", Commit: commit, CI: "gitlab", Job: "build image", URL: "https://gitlab.example.com/g/sub/app/-/jobs/3"}},
		{"Jenkins, whose address of the repository has a login", []string{"JENKINS_URL=https://ci.example.com/", "GIT_URL=https://bob:s3cret@git.example.com/acme/app.git",
			"GIT_BRANCH=origin/main", "JOB_NAME=app/main", "BUILD_URL=https://ci.example.com/job/app/1/"},
			record.Context{Repo: "git.example.com/acme/app", Branch: "main", CI: "jenkins", Job: "app/main", URL: "https://ci.example.com/job/app/1/"}},
		{"names without an end", []string{"GITLAB_CI=true", "CI_COMMIT_REF_NAME=" + strings.Repeat("x", 1000)},
			record.Context{Branch: strings.Repeat("x", 255), CI: "gitlab"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := append([]string{"PATH=/bin"}, tt.env...)
			if got := outlast.Surroundings(env, t.TempDir()); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSurroundingsOfAGitFolder(t *testing.T) {
	const repo = "git.example.com/acme/app"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  record.Context
	}{
		{"on a branch", map[string]string{".git/HEAD": "ref: refs/heads/feat/x\n", ".git/refs/heads/feat/x": commit + "\n"}, record.Context{Branch: "feat/x", Commit: commit}},
		{"packed", map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": "# pack-refs\n" + commit + " refs/heads/main\n"}, record.Context{Branch: "main", Commit: commit}},
		{"no branch", map[string]string{".git/HEAD": commit + "\n"}, record.Context{Commit: commit}},
		{"no commit yet", map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, record.Context{Branch: "main"}},
		{"a worktree", map[string]string{".git": "gitdir: elsewhere/worktrees/w\n", "elsewhere/worktrees/w/HEAD": "ref: refs/heads/w\n", "elsewhere/worktrees/w/commondir": "../..\n",
			"elsewhere/refs/heads/w": commit, "elsewhere/config": "[remote \"origin\"]\n\turl = git@git.example.com:acme/app.git\n"}, record.Context{Repo: repo, Branch: "w", Commit: commit}},
		{"an origin by ssh", map[string]string{".git/HEAD": commit, ".git/config": "[core]\n url = x\n[remote \"other\"]\nurl=y\n[remote \"origin\"]\nurl = ssh://git@git.example.com:2222/acme/app.git/\n"}, record.Context{Repo: repo, Commit: commit}},
		{"an origin with a login", map[string]string{".git/HEAD": commit, ".git/config": "[remote \"origin\"]\nurl = https://x:glpat-secret@git.example.com/acme/app\n"}, record.Context{Repo: repo, Commit: commit}},
		{"a way out of the folder", map[string]string{"secret": commit, ".git/HEAD": "ref: refs/../../secret\n"}, record.Context{}},
		{"nonsense", map[string]string{".git/HEAD": "\x00\xff", ".git/config": "[[["}, record.Context{}},
		{"a .git that is no git's", map[string]string{".git": "hello"}, record.Context{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			below := filepath.Join(dir, "deploy", "image")
			if err := os.MkdirAll(below, 0o755); err != nil {
				t.Fatal(err)
			}
			if got := outlast.Surroundings([]string{"PATH=/bin"}, below); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSurroundingsWaitForNoPipe(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, ".git", "HEAD"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := outlast.Surroundings([]string{"PATH=/bin"}, dir); got != (record.Context{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestSurroundingsAgreeWithGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "trunk")
	git("commit", "-q", "--allow-empty", "-m", "one")
	git("remote", "add", "origin", "git@git.example.com:acme/app.git")
	want := record.Context{Repo: "git.example.com/acme/app", Branch: "trunk", Commit: git("rev-parse", "HEAD")}
	if got := outlast.Surroundings([]string{"PATH=/bin"}, dir); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	git("pack-refs", "--all")
	if got := outlast.Surroundings([]string{"PATH=/bin"}, dir); got != want {
		t.Errorf("packed: got  %+v\nwant %+v", got, want)
	}
}
