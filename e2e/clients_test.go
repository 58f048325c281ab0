package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

const publicName = "registry.example.com" // leads to loopback by the settings

// pushed are what the registry holds: a reference without its host, and the
// digest of what that stands for.
type pushed struct {
	ref    string
	digest string
	index  bool
}

// pushImages fills a registry with images of every kind of manifest.
func pushImages(t *testing.T, host string) []pushed {
	t.Helper()
	platform := func(arch string, kind types.MediaType) v1.Image {
		layers := types.DockerLayer
		if kind == types.OCIManifestSchema1 {
			layers = types.OCILayer
		}
		var base v1.Image = empty.Image
		for range 2 {
			layer, err := random.Layer(300_000, layers)
			if err != nil {
				t.Fatal(err)
			}
			if base, err = mutate.AppendLayers(base, layer); err != nil {
				t.Fatal(err)
			}
		}
		config, err := base.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", arch
		img, err := mutate.ConfigFile(base, config)
		if err != nil {
			t.Fatal(err)
		}
		if kind == types.OCIManifestSchema1 {
			img = mutate.ConfigMediaType(mutate.MediaType(img, kind), types.OCIConfigJSON)
		}
		return img
	}
	index := func(kind, images types.MediaType) v1.ImageIndex {
		var idx v1.ImageIndex = mutate.IndexMediaType(empty.Index, kind)
		for _, arch := range []string{"amd64", "arm64"} {
			idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: platform(arch, images),
				Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		}
		return idx
	}
	var all []pushed
	add := func(ref string, what interface {
		Digest() (v1.Hash, error)
	}) {
		to, err := name.NewTag(host+"/"+ref, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		isIndex := false
		switch what := what.(type) {
		case v1.ImageIndex:
			isIndex, err = true, remote.WriteIndex(to, what)
		case v1.Image:
			err = remote.Write(to, what)
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := what.Digest()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pushed{ref, d.String(), isIndex})
	}
	add("team/docker-list:1", index(types.DockerManifestList, types.DockerManifestSchema2))
	add("team/oci-index:1", index(types.OCIImageIndex, types.OCIManifestSchema1))
	add("team/docker-image:1", platform("amd64", types.DockerManifestSchema2))
	add("team/oci-image:1", platform("amd64", types.OCIManifestSchema1))
	return all
}

// startGateway runs `outlast gateway` with settings, until the test's end, and
// returns its address.
func startGateway(t *testing.T, settings string) string {
	t.Helper()
	dir := testenv.TempDir(t)
	file := filepath.Join(dir, "outlast.yaml")
	if err := os.WriteFile(file, []byte(settings+fmt.Sprintf("store: {path: %q}\n", filepath.Join(dir, "store"))), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Outlast(t), "gateway", "--listen", "127.0.0.1:0", "--format", "json", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "DOCKER_CONFIG="+dir, "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives a test that is killed
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct{ Address string }
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&ready); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("the gateway said no address: %v\n%s", err, stderr.String())
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway, interrupted, ended with %v, want 0", err)
		}
		if t.Failed() {
			t.Logf("the gateway said:\n%s", stderr.String())
		}
	})
	return ready.Address
}

func TestRealClientsPullThroughTheGateway(t *testing.T) {
	t.Parallel()
	testenv.Root(t)
	crane, skopeo := testenv.Tool(t, "crane"), testenv.Tool(t, "skopeo")
	registry := testenv.NewRegistry(t, testenv.RegistryOptions{})
	images := pushImages(t, registry.Host)
	for _, outage := range []struct {
		name           string
		origin, mirror faultnet.Script
	}{
		{"all well", nil, nil},
		{"the origin sends pages", faultnet.Always(faultnet.StatusHTML(400, "")), nil},
		{"the origin hangs and the mirror breaks off", faultnet.Always(faultnet.Hang()),
			faultnet.Script{{Method: "GET", Place: faultnet.Blob, On: faultnet.First(4), Fault: faultnet.CutAfter(1000)}}},
		{"the mirror spoils and the origin breaks off", faultnet.Script{{Method: "GET", Place: faultnet.Blob, On: faultnet.First(4), Fault: faultnet.ResetAfter(1000)}},
			faultnet.At(faultnet.Blob, faultnet.WrongByte())},
	} {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			origin, mirror := fakeRegistry(t, registry.URL, outage.origin), fakeRegistry(t, registry.URL, outage.mirror)
			gateway := startGateway(t, fmt.Sprintf("registries:\n  %s:\n    origin: %s\n    mirrors: [{url: %q, tags: true}]\n",
				publicName, origin.URL(), mirror.URL()))
			for _, img := range images {
				at := gateway + "/" + publicName + "/" + img.ref
				t.Run("crane: "+img.ref, func(t *testing.T) {
					out := mustRun(t, crane, "digest", at)
					if got := strings.TrimSpace(out); got != img.digest {
						t.Errorf("got %s, want %s", got, img.digest)
					}
					// It reads every layer and proves it.
					mustRun(t, crane, "validate", "--remote", at)
					mustRun(t, crane, "pull", "--format", "oci", at, filepath.Join(t.TempDir(), "layout"))
				})
				t.Run("skopeo: "+img.ref, func(t *testing.T) {
					raw := filepath.Join(t.TempDir(), "manifest.json")
					text := mustRun(t, skopeo, "inspect", "--raw", "--tls-verify=false", "docker://"+at)
					if err := os.WriteFile(raw, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
					if got := strings.TrimSpace(mustRun(t, skopeo, "manifest-digest", raw)); got != img.digest {
						t.Errorf("got %s, want %s", got, img.digest)
					}
					// It proves all blobs by their digests.
					mustRun(t, skopeo, "copy", "--insecure-policy", "--all", "--src-tls-verify=false", "docker://"+at, "dir:"+filepath.Join(t.TempDir(), "copy"))
				})
			}
			t.Run("BuildKit: as a mirror", func(t *testing.T) {
				buildkitPulls(t, images, nil, fmt.Sprintf("[registry.%q]\n  mirrors = [%q]\n[registry.%q]\n  http = true\n", publicName, gateway, gateway))
			})
			t.Run("BuildKit: by a source policy", func(t *testing.T) {
				policy := filepath.Join(t.TempDir(), "policy.json")
				text := fmt.Sprintf(`{"rules": [{"action": "CONVERT", "selector": {"identifier": "docker-image://%[1]s/(.*)", "match_type": "REGEX"},
					"updates": {"identifier": "docker-image://%[2]s/%[1]s/${1}"}}]}`, publicName, gateway)
				if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				buildkitPulls(t, images, []string{"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=" + policy}, "")
			})
			t.Run("by hand", func(t *testing.T) { byHand(t, registry.URL, gateway, images) })
		})
	}
}

// fakeRegistry serves the content of a registry, and fails by a script.
func fakeRegistry(t *testing.T, content string, script faultnet.Script) *faultnet.Service {
	t.Helper()
	backend, err := faultnet.NewProxy(content)
	if err != nil {
		t.Fatal(err)
	}
	s := &faultnet.Service{Backend: backend, Script: script}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustRun(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := testenv.Run(t.Context(), []string{"HOME=" + t.TempDir()}, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// buildkitPulls builds on every image with stock buildx and a BuildKit of its
// own, and compares the digests that it resolved.
func buildkitPulls(t *testing.T, images []pushed, env []string, config string) {
	t.Helper()
	daemon := testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: config})
	buildx := testenv.NewBuildx(t)
	buildx.Env = env
	if out, err := buildx.Run(t.Context(), "create", "--name", "b", "--driver", "remote", daemon.Addr()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var dockerfile strings.Builder
	for i, img := range images {
		fmt.Fprintf(&dockerfile, "FROM %s/%s AS s%d\nCOPY Dockerfile /\n", publicName, img.ref, i)
	}
	dockerfile.WriteString("FROM scratch\n")
	for i := range images {
		fmt.Fprintf(&dockerfile, "COPY --from=s%d / /%d/\n", i, i)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := buildx.Run(t.Context(), "build", "--builder", "b", "--progress", "plain", "--output", "type=oci,dest=/dev/null", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, img := range images {
		if !strings.Contains(out, img.digest) {
			t.Errorf("%s: got no digest %s in:\n%s", img.ref, img.digest, out)
		}
	}
}

// byHand asks as clients do, each in its own way, and compares with what the
// registry itself answers.
func byHand(t *testing.T, registry, gateway string, images []pushed) {
	ask := func(method, address string, header http.Header) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, body
	}
	lines := http.Header{"Accept": {string(types.DockerManifestSchema2), string(types.DockerManifestList) + ", " + string(types.OCIManifestSchema1), string(types.OCIImageIndex)}}
	for _, img := range images {
		repository, tag, _ := strings.Cut(img.ref, ":")
		want, manifest := ask("GET", registry+"/v2/"+repository+"/manifests/"+tag, lines)
		inPath := "http://" + gateway + "/v2/" + publicName + "/" + repository
		byQuery := "http://" + gateway + "/v2/" + repository
		for _, at := range []string{
			inPath + "/manifests/" + tag, inPath + "/manifests/" + img.digest,
			byQuery + "/manifests/" + tag + "?ns=" + publicName, byQuery + "/manifests/" + img.digest + "?ns=" + publicName,
		} {
			for _, method := range []string{"HEAD", "GET"} {
				got, body := ask(method, at, lines)
				for _, name := range []string{"Content-Type", "Content-Length", "Docker-Content-Digest"} {
					if got.Header.Get(name) != want.Header.Get(name) {
						t.Errorf("%s %s: got %s %q, want %q", method, at, name, got.Header.Get(name), want.Header.Get(name))
					}
				}
				if got.StatusCode != http.StatusOK || method == "GET" && !bytes.Equal(body, manifest) {
					t.Errorf("%s %s: got status %d and %d bytes, want the registry's own", method, at, got.StatusCode, len(body))
				}
			}
		}
		if img.index {
			continue
		}
		var m v1.Manifest
		if err := json.Unmarshal(manifest, &m); err != nil {
			t.Fatal(err)
		}
		layer := m.Layers[0]
		_, whole := ask("GET", registry+"/v2/"+repository+"/blobs/"+layer.Digest.String(), nil)
		for _, at := range []string{inPath + "/blobs/" + layer.Digest.String(), byQuery + "/blobs/" + layer.Digest.String() + "?ns=" + publicName} {
			head, _ := ask("HEAD", at, nil)
			if head.StatusCode != http.StatusOK || head.ContentLength != layer.Size {
				t.Errorf("HEAD %s: got status %d and length %d, want %d", at, head.StatusCode, head.ContentLength, layer.Size)
			}
			part, body := ask("GET", at, http.Header{"Range": {"bytes=1000-1999"}})
			if part.StatusCode != http.StatusPartialContent || !bytes.Equal(body, whole[1000:2000]) {
				t.Errorf("a range of %s: got status %d and %d bytes, want the 1000 bytes that were asked for", at, part.StatusCode, len(body))
			}
			if _, body := ask("GET", at, nil); !bytes.Equal(body, whole) {
				t.Errorf("%s: got %d bytes, want the registry's own %d", at, len(body), len(whole))
			}
		}
	}
}
