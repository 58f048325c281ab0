package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	godigest "github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// anyRegistry has every image of every registry, for all usual platforms, and
// writes down which were asked for. A mirror is told whose image is wanted. No
// two images share content, nor do those of two salts: a BuildKit that has
// content asks for it no more.
type anyRegistry struct {
	frontend http.Handler // has docker/dockerfile:1, which all Dockerfile frontends are

	mu       sync.Mutex
	salt     string
	content  map[godigest.Digest][]byte
	platform map[godigest.Digest]string // of a manifest: "host/repository:tag platform"
	asked    []string
}

var inRepository = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

// begin makes all content anew.
func (a *anyRegistry) begin(salt string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.salt, a.content, a.platform = salt, make(map[godigest.Digest][]byte), make(map[godigest.Digest]string)
}

// forget forgets what was asked.
func (a *anyRegistry) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = nil
}

// seen returns what was asked since then, sorted, each once.
func (a *anyRegistry) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.asked)
	return slices.Compact(a.asked)
}

func (a *anyRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	part := inRepository.FindStringSubmatch(r.URL.Path)
	if part == nil {
		return
	}
	host, repository, what := r.URL.Query().Get("ns"), part[1], part[3]
	if strings.Contains(repository, "/dockerfile") {
		if !strings.Contains(what, "sha256:") {
			a.mu.Lock()
			a.asked = append(a.asked, host+"/"+repository+":"+what+" linux/"+runtime.GOARCH)
			a.mu.Unlock()
			what = "1"
		}
		r.URL.Path = "/v2/docker/dockerfile/" + part[2] + "/" + what
		a.frontend.ServeHTTP(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := godigest.Digest(what)
	if d.Validate() != nil {
		d = a.indexLocked(host + "/" + repository + ":" + what)
	}
	if of := a.platform[d]; of != "" && part[2] == "manifests" {
		a.asked = append(a.asked, of)
	}
	body, ok := a.content[d]
	if !ok {
		http.NotFound(w, r)
		return
	}
	var head struct{ MediaType string }
	json.Unmarshal(body, &head)
	w.Header().Set("Content-Type", head.MediaType)
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// indexLocked makes an image: an index, with a manifest and a configuration for
// each platform, and no layers.
func (a *anyRegistry) indexLocked(ref string) godigest.Digest {
	var manifests []string
	for _, p := range []struct{ name, fields string }{
		{"linux/amd64", `"os":"linux","architecture":"amd64"`},
		{"linux/arm64", `"os":"linux","architecture":"arm64"`},
		{"linux/arm/v7", `"os":"linux","architecture":"arm","variant":"v7"`},
		{"linux/386", `"os":"linux","architecture":"386"`},
		{"windows/amd64", `"os":"windows","architecture":"amd64"`},
	} {
		config := a.addLocked(fmt.Sprintf(`{%s,"rootfs":{"type":"layers","diff_ids":[]},"author":%q}`, p.fields, a.salt+ref))
		manifest := a.addLocked(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
			"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, config, len(a.content[config])))
		a.platform[manifest] = ref + " " + p.name
		manifests = append(manifests, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d,"platform":{%s}}`,
			manifest, len(a.content[manifest]), p.fields))
	}
	return a.addLocked(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(manifests, ",") + `]}`)
}

func (a *anyRegistry) addLocked(body string) godigest.Digest {
	d := godigest.FromString(body)
	a.content[d] = []byte(body)
	return d
}

// pinned is a digest in a reference.
var pinned = regexp.MustCompile(`([\w./:-]+)@sha256:[0-9a-f]{64}`)

// pin gives the references by digest in src the digests of images that exist.
func (a *anyRegistry) pin(src string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return pinned.ReplaceAllStringFunc(src, func(ref string) string {
		name, _, _ := strings.Cut(ref, "@")
		full := name
		if !strings.Contains(name, ".") {
			full = "docker.io/library/" + name
		}
		d := a.indexLocked(full).String()
		for manifest, of := range a.platform {
			if rest, ok := strings.CutPrefix(of, full+" "); ok {
				a.platform[manifest] = full + "@" + d + " " + rest
			}
		}
		return name + "@" + d
	})
}

// The needs that outlast plan lists are the images that BuildKit asks the
// registries for, each for the same platforms: no more and no fewer.
func TestPlanListsWhatBuildKitAsksFor(t *testing.T) {
	t.Parallel()
	registry := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	frontend, err := faultnet.NewProxy(registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	everything := &anyRegistry{frontend: frontend}
	service := served(t, everything)
	var mirrors, settings strings.Builder
	fmt.Fprintf(&mirrors, "[registry.%q]\n  http = true\n", service.Host())
	settings.WriteString("probe: {registries: [], proxies: [], internet: []}\nregistries:\n")
	for _, host := range []string{"docker.io", "gcr.io", "ghcr.io", "quay.io", "registry.k8s.io", "mcr.microsoft.com", "mirror.example.com:5000", "registry.example.com"} {
		fmt.Fprintf(&mirrors, "[registry.%q]\n  mirrors = [%q]\n", host, service.Host())
		fmt.Fprintf(&settings, "  %q: {origin: %q, mirrors: []}\n", host, service.URL())
	}
	b := &bench{t: t, dir: testenv.TempDir(t), outlast: testenv.Outlast(t), buildx: testenv.NewBuildx(t),
		buildkit: testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: mirrors.String()})}
	if out, err := b.buildx.Run(t.Context(), "create", "--name", "stock", "--driver", "remote", b.buildkit.Addr()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fmt.Fprintf(&settings, "store: {path: %q}\n", filepath.Join(b.dir, "store"))
	file := filepath.Join(b.dir, "settings.yaml")
	if err := os.WriteFile(file, []byte(settings.String()), 0o600); err != nil {
		t.Fatal(err)
	}

	paths, err := filepath.Glob("../dockerfile/testdata/needs/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		shape := strings.TrimSuffix(filepath.Base(path), ".txtar")
		// What stands in for its frontend is a folder, and no frontend.
		if shape == "context-for-frontend" {
			continue
		}
		compared++
		t.Run(shape, func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			everything.begin(shape)
			var src string
			var flags []string
			for _, f := range archive.Files {
				switch f.Name {
				case "Dockerfile":
					src = everything.pin(string(f.Data))
				case "options":
					flags = optionFlags(everything.pin(string(f.Data)), t.TempDir())
				}
			}
			bb := *b
			bb.t = t
			dir := bb.context(src)
			listed := bb.listed(file, append(flags, dir)...)
			everything.forget()
			// Most of these builds fail, as the images are empty: after all
			// that they need is resolved.
			out, _ := b.buildx.Run(t.Context(), append([]string{"build", "--builder", "stock", "--progress", "plain"}, append(flags, dir)...)...)
			if diff := cmp.Diff(everything.seen(), listed); diff != "" {
				t.Errorf("what BuildKit asked for, and what the plan lists (-asked +listed):\n%s%s", diff, out)
			}
		})
	}
	if compared < 25 {
		t.Errorf("compared %d shapes, want 25 or more", compared)
	}
}

// optionFlags writes the options of a shape as flags of a build.
func optionFlags(options, context string) []string {
	flag := map[string]string{"target": "--target", "platform": "--platform", "arg": "--build-arg", "context": "--build-context"}
	var flags []string
	for line := range strings.Lines(options) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if key == "context" {
			value += "=" + context
		}
		flags = append(flags, flag[key]+"="+value)
	}
	return flags
}

// listed returns the images among the needs that outlast plan lists, sorted,
// each once.
func (b *bench) listed(settings string, args ...string) []string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), b.outlast, append([]string{"plan", "--config", settings, "--format", "json"}, args...)...)
	cmd.Env = append(append(os.Environ(), b.buildx.Environ()...), "BUILDKIT_HOST="+b.buildkit.Addr(), "XDG_STATE_HOME="+b.dir+"/state")
	got := execute(b.t, cmd)
	got.want(b.t, 0)
	var plan struct {
		Needs []struct{ Kind, Ref, Platform string }
	}
	if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil {
		b.t.Fatalf("%v\n%s", err, got.text())
	}
	var refs []string
	for _, n := range plan.Needs {
		if slices.Contains([]string{"frontend", "image", "copy-from", "mount-from"}, n.Kind) {
			refs = append(refs, n.Ref+" "+n.Platform)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}
