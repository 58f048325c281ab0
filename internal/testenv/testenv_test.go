package testenv_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TESTENV_START_IN"); dir != "" {
		startAndHang(dir)
	}
	testenv.MainWithOutside(m)
}

// startAndHang starts a daemon of each sort, says so and waits to be killed.
func startAndHang(dir string) {
	_, err1 := testenv.StartBuildkitd(context.Background(), filepath.Join(dir, "b"), testenv.BuildkitdOptions{})
	_, err2 := testenv.StartRegistry(context.Background(), filepath.Join(dir, "r"), testenv.RegistryOptions{})
	fmt.Println("started", errors.Join(err1, err2))
	select {}
}

func TestNothingSurvivesAKilledParent(t *testing.T) {
	testenv.Root(t)
	testenv.Tool(t, "buildkitd")
	testenv.Tool(t, "registry")
	dir := testenv.TempDir(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "TESTENV_START_IN="+dir)
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "started <nil>\n" {
		t.Errorf("the parent said %q, %v, want both daemons started", line, err)
	}
	if len(processes(t, dir)) < 2 {
		t.Errorf("got %q, want both daemons running", processes(t, dir))
	}

	parent.Process.Kill()
	parent.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for len(processes(t, dir)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("still running: %q", processes(t, dir))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// processes returns the command lines that mention dir.
func processes(t *testing.T, dir string) []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), dir) {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return lines
}

func TestBuildkitdBuildsAndLeavesNothing(t *testing.T) {
	b, err := testenv.StartBuildkitd(t.Context(), testenv.TempDir(t), testenv.BuildkitdOptions{})
	testenv.Need(t, err)
	defer b.Stop()
	out, err := testenv.Run(t.Context(), nil, testenv.Tool(t, "buildctl"), "--addr", b.Addr(), "debug", "workers")
	if err != nil || !strings.Contains(out, "linux/amd64") {
		t.Fatalf("debug workers: got %q, %v, want a worker for this platform", out, err)
	}

	b.Stop()
	if _, err := os.Stat(b.Dir()); !os.IsNotExist(err) {
		t.Errorf("its folder after Stop: got %v, want it gone", err)
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), b.Dir()) {
		t.Errorf("mounts are left in %s", b.Dir())
	}
	if left := processes(t, b.Dir()); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}

// The whole way that the end-to-end tests take: base images in a registry, a
// BuildKit that has it as its mirror, and buildx.
func TestBuildxBuildsOnTheBaseImages(t *testing.T) {
	testenv.Images(t)
	r := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	b := testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: fmt.Sprintf(`
[registry."docker.io"]
  mirrors = [%[1]q]
[registry."gcr.io"]
  mirrors = [%[1]q]
[registry.%[1]q]
  http = true
`, r.Host)})
	buildx := testenv.NewBuildx(t)
	if out, err := buildx.Run(t.Context(), "create", "--name", "remote", "--driver", "remote", b.Addr()); err != nil {
		t.Fatalf("buildx create: %v\n%s", err, out)
	}

	t.Run("a Go service that runs", func(t *testing.T) {
		dest := testenv.TempDir(t)
		out, err := buildx.Run(t.Context(), "build", "--builder", "remote", "--progress", "plain", "--build-arg", "VERSION=1.2.3",
			"--output", "type=local,dest="+dest, "../../examples/conductor-loop")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got, err := testenv.Run(t.Context(), nil, filepath.Join(dest, "service"), "-version")
		if err != nil || !strings.HasPrefix(got, "conductor-loop 1.2.3 ") {
			t.Errorf("got %q, %v, want its version 1.2.3", got, err)
		}
	})
	t.Run("a frontend that a syntax line names", func(t *testing.T) {
		dir := t.TempDir()
		dockerfile := "# syntax=docker/dockerfile:1\nFROM alpine:3\nRUN test -f /usr/share/noise/2\n"
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := buildx.Run(t.Context(), "build", "--builder", "remote", "--progress", "plain", dir)
		if err != nil || !strings.Contains(out, "docker-image://docker.io/docker/dockerfile:1") {
			t.Errorf("got %v\n%s, want it built by the image of the frontend", err, out)
		}
	})
}

func TestRealClientsReadTheRegistry(t *testing.T) {
	want := testenv.Images(t)["static"].Digest.String()
	r := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	for name, command := range map[string][]string{
		"crane":  {testenv.Tool(t, "crane"), "digest", r.Host + "/distroless/static:nonroot"},
		"skopeo": {testenv.Tool(t, "skopeo"), "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://" + r.Host + "/distroless/static:nonroot"},
	} {
		got, err := testenv.Run(t.Context(), nil, command...)
		if err != nil || strings.TrimSpace(got) != want {
			t.Errorf("%s: got %q, %v, want %s", name, got, err, want)
		}
	}
}
