package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/outlast-build/outlast/gateway/gomod"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/internal/testenv"
)

// packagesLimit ends a client that hangs and should not.
const packagesLimit = 5 * time.Minute

// A client is a package manager with something to get.
type client struct {
	name  string // for people, with what it gets
	peers bool   // what Debian has for this can cache it
	// ready makes a folder what the client needs to begin with; argv is what it
	// then runs there, with env. A nil middle is none.
	ready func(dir string) error
	argv  func(dir string, m *middle) (argv, env []string)
}

// get has the client get all, from nothing, and says how long it took.
func (c *client) get(ctx context.Context, m *middle) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "olp")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := c.ready(dir); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, packagesLimit, errCut)
	defer cancel()
	argv, env := c.argv(dir, m)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run()
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out.String())
	}
	return took, nil
}

// modules have the longest list of modules of this repository.
const modules = "tools/buildx"

// newGo prepares the go command. What this machine lacks is a *testenv.Missing,
// here as for the others.
func newGo(context.Context, string) (*client, error) {
	proxy, err := testenv.GoProxy()
	if err != nil {
		return nil, err
	}
	tools, err := testenv.Dir()
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range []string{"go.mod", "go.sum"} {
		if files[name], err = os.ReadFile(filepath.Join(filepath.Dir(tools), modules, name)); err != nil {
			return nil, err
		}
	}
	archives := bytes.Count(files["go.sum"], []byte("\n")) - bytes.Count(files["go.sum"], []byte("/go.mod h1:"))
	return &client{
		name: fmt.Sprintf("go mod download, %d modules", archives),
		ready: func(dir string) error {
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		argv: func(dir string, m *middle) (argv, env []string) {
			at := proxy
			if m != nil {
				at = m.url + gomod.Prefix
			}
			return []string{"go", "mod", "download"}, []string{"GOPROXY=" + at, "GOMODCACHE=" + filepath.Join(dir, "cache"),
				"GOPATH=" + filepath.Join(dir, "path"), "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOWORK=off"}
		},
	}, nil
}

func newApt(context.Context, string) (*client, error) {
	source, err := testenv.AptSource()
	if err != nil {
		return nil, err
	}
	var signed string
	if source.Keyring != "" {
		signed = "[signed-by=" + source.Keyring + "] "
	}
	return &client{
		name:  "apt, 100 packages",
		peers: true,
		ready: func(dir string) error {
			for _, name := range []string{"lists/partial", "archives/partial"} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					return err
				}
			}
			list := fmt.Sprintf("deb %s%s %s main\n", signed, source.Mirror, source.Suite)
			return os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list), 0o644)
		},
		argv: func(dir string, m *middle) (argv, env []string) {
			options := " -q -y"
			for name, value := range map[string]string{
				"Dir::Etc::sourcelist": dir + "/sources.list", "Dir::Etc::sourceparts": "/dev/null",
				"Dir::State": dir, "Dir::State::lists": dir + "/lists", "Dir::State::status": "/dev/null",
				"Dir::Cache": dir, "Dir::Cache::archives": dir + "/archives", "Dir::Log": dir,
				"APT::Sandbox::User": "root", "APT::Update::Error-Mode": "any", "DPkg::Post-Invoke": "", "APT::Update::Post-Invoke": "",
			} {
				options += " -o " + name + "=" + value
			}
			if m != nil {
				options += " -o Acquire::http::Proxy=" + m.url + "/"
			}
			return []string{"sh", "-c", "apt-get" + options + " update && apt-get" + options +
				" install --download-only --no-install-recommends build-essential python3-venv && test $(ls archives/*.deb | wc -l) -gt 90"}, nil
		},
	}, nil
}

// npmPackages need about 500 others.
const npmPackages = `{"name": "app", "version": "1.0.0", "private": true, "dependencies": {
"jest": "29.7.0", "webpack": "5.90.0", "@babel/preset-env": "7.23.9", "eslint": "8.56.0", "express": "4.18.2"}}`

// newNPM makes the lock file that npm ci reads.
func newNPM(ctx context.Context, dir string) (*client, error) {
	registry, err := testenv.NPMRegistry()
	if err != nil {
		return nil, err
	}
	made := filepath.Join(dir, "npm")
	if err := os.MkdirAll(made, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(made, "package.json")
	if err := os.WriteFile(file, []byte(npmPackages), 0o644); err != nil {
		return nil, err
	}
	common := []string{"--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"}
	lock := exec.CommandContext(ctx, "npm", append([]string{"install", "--package-lock-only", "--cache", filepath.Join(made, "cache")}, common...)...)
	lock.Dir = made
	if out, err := lock.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a lock file of npm: %w\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(made, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	return &client{
		name: fmt.Sprintf("npm ci, %d packages", bytes.Count(text, []byte(`"integrity":`))),
		ready: func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(npmPackages), 0o644); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "package-lock.json"), text, 0o644)
		},
		argv: func(dir string, m *middle) (argv, env []string) {
			at := registry
			if m != nil {
				at = m.url + npm.Prefix
			}
			return append([]string{"npm", "ci", "--replace-registry-host=always", "--registry", at, "--cache", filepath.Join(dir, "cache")}, common...), nil
		},
	}, nil
}
