package testenv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestIsolatedNetworkHasOnlyLoopback(t *testing.T) {
	testenv.Root(t)
	out, err := exec.Command("ip", "-o", "link").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !testenv.IsIsolated() || !strings.Contains(string(out), "lo:") || strings.Contains(string(out), "eth") {
		t.Errorf("interfaces: got %s, want lo alone", out)
	}
}

func TestDockerEngineRunsOnItsBridge(t *testing.T) {
	alpine, buildkit := testenv.Images(t)["alpine"], testenv.Images(t)["buildkit"]
	d := testenv.NewDockerd(t, testenv.DockerdOptions{})
	if err := d.Load(t.Context(), alpine); err != nil {
		t.Fatal(err)
	}
	out, err := d.Run(t.Context(), "run", "--rm", "alpine:3", "ip", "-o", "addr")
	if err != nil || !strings.Contains(out, "eth0") {
		t.Fatalf("docker run: got %v\n%s, want a container with eth0", err, out)
	}

	context := t.TempDir()
	dockerfile := "FROM alpine:3\nRUN ip -o addr | tee /addr\n"
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	buildx := testenv.NewBuildx(t)
	buildx.Env = []string{"DOCKER_HOST=" + d.Host()}

	t.Run("docker driver", func(t *testing.T) {
		out, err := buildx.Run(t.Context(), "build", "--progress", "plain", "-t", "app", context)
		if err != nil || !strings.Contains(out, "eth0") {
			t.Errorf("got %v\n%s, want a RUN with eth0", err, out)
		}
	})
	t.Run("docker-container driver", func(t *testing.T) {
		if err := d.Load(t.Context(), buildkit); err != nil {
			t.Fatal(err)
		}
		if out, err := buildx.Run(t.Context(), "create", "--name", "box", "--driver", "docker-container", "--driver-opt", "image="+buildkit.Refs[0]); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := buildx.Run(t.Context(), "build", "--builder", "box", "--progress", "plain",
			"--build-context", "alpine:3=oci-layout://"+alpine.Dir+"@"+alpine.Digest.String(), "--load", "-t", "app2", context)
		if err != nil || !strings.Contains(out, "RUN ip -o addr") {
			t.Errorf("got %v\n%s", err, out)
		}

		if out, err := buildx.Run(t.Context(), "rm", "box"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
