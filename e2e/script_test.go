package e2e

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

const script = "../scripts/smart-docker-build.sh"

// script runs scripts/smart-docker-build.sh from a folder that has nothing to
// do with it, with outlast on PATH.
func (b *bench) script(t *testing.T, env []string, args ...string) result {
	t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	cmd := b.command(t, append([]string{path}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(b.outlast)+":"+os.Getenv("PATH"))
	cmd.Env = append(append(cmd.Env, b.env...), env...)
	return execute(t, cmd)
}

func TestTheScriptBuildsAService(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		says string
	}{
		{"with all arguments", nil, []string{"conductor-loop", "test", "latest", "", "false"}, " strategy (health"},
		{"with the local cache only", []string{"CACHE_STRATEGY=local-only"}, []string{"conductor-loop", "test"}, "Using CONSERVATIVE strategy"},
		{"without caches", []string{"CACHE_STRATEGY=no-cache"}, []string{"conductor-loop", "test"}, "Using EMERGENCY strategy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.script(t, tt.env, tt.args...).want(t, 0, "✅ docker.io responsive", "✅ gcr.io responsive", "Infrastructure health score: ", tt.says)
		})
	}
	t.Run("and names what is wrong", func(t *testing.T) {
		for _, args := range [][]string{
			{"nowhere", "test"}, {"../etc", "test"}, {"conductor-loop", "test:1"}, {"conductor-loop", "Test"},
			{"conductor-loop", "test", "a/b"}, {"conductor-loop", "test", "1", "arm64"}, {"conductor-loop", "test", "1", "", "yes"},
			{"conductor-loop", "test", "1", "", "false", "more"}, {"--push"},
		} {
			r := b.script(t, nil, args...)
			if n := strings.Count(r.stderr, "error:"); r.code != 2 || n != 1 {
				t.Errorf("%q: got exit code %d and %d errors, want 2 and one:\n%s", args, r.code, n, r.text())
			}
		}
	})
	t.Run("and says how to get outlast", func(t *testing.T) {
		dir := t.TempDir()
		alone := filepath.Join(dir, "scripts", "smart-docker-build.sh")
		for from, to := range map[string]string{script: alone, filepath.Join(example, "Dockerfile"): filepath.Join(dir, "conductor-loop", "Dockerfile")} {
			copyFile(t, from, to)
		}
		cmd := exec.CommandContext(t.Context(), "sh", alone)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		execute(t, cmd).want(t, 2, "neither on PATH nor in bin", "go install")
	})
}

func TestTheScriptLoadsIntoDocker(t *testing.T) {
	t.Parallel()
	b, d := dockerEngine(t)
	b.script(t, []string{"VCS_REF=abc123", "BUILD_DATE=2026-01-02T03:04:05Z"}, "conductor-loop", "test", "1.2.3").want(t, 0)
	got, err := d.Run(t.Context(), "run", "--rm", "--network", "none", "test:1.2.3", "-version")
	if want := "conductor-loop 1.2.3 (abc123, 2026-01-02T03:04:05Z) "; err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("got %q, %v, want %s…", got, err, want)
	}
}

func TestTheScriptPushesSeveralPlatforms(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	r := testenv.NewRegistry(t, testenv.RegistryOptions{})
	image := r.Host + "/team/loop"
	b.script(t, nil, "conductor-loop", image, "1.0", "linux/amd64,linux/arm64", "true").want(t, 0)
	var index struct {
		Manifests []struct {
			Platform struct{ OS, Architecture string }
		}
	}
	crane := testenv.Tool(t, "crane")
	if err := json.Unmarshal([]byte(mustRun(t, crane, "manifest", image+":1.0")), &index); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range index.Manifests {
		if m.Platform.OS == "linux" {
			got = append(got, m.Platform.Architecture)
		}
	}
	if strings.Join(got, " ") != "amd64 arm64" {
		t.Fatalf("the index has %q, want amd64 and arm64", got)
	}
	// The programs are for what the index says that they are for.
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		dir := t.TempDir()
		mustRun(t, "sh", "-c", crane+" export --platform linux/"+arch+" "+image+":1.0 - | tar -x -C "+dir+" service")
		f, err := elf.Open(filepath.Join(dir, "service"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine {
			t.Errorf("the program for %s is one for %v", arch, f.Machine)
		}
		f.Close()
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
