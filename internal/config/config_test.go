package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/internal/config"
)

// sample is what the README shows.
const sample = `registries:
  docker.io:
    origin: https://registry-1.docker.io   # a URL; http:// is allowed for loopback and where told
    mirrors:
      - {url: https://mirror.gcr.io, tags: true}
      - {url: http://127.0.0.1:5002}        # digests only
store: {path: ~/.cache/outlast, size: 20GiB}
fetch: {dial: 2s, header: 5s, idle: 10s}
`

// home is a machine: a home folder, a project and an environment.
type home struct {
	t    *testing.T
	dir  string
	proj string
	env  []string
}

func newHome(t *testing.T, env ...string) *home {
	t.Helper()
	dir := t.TempDir()
	h := &home{t, filepath.Join(dir, "home"), filepath.Join(dir, "work", "app"), nil}
	for _, d := range []string{h.dir, h.proj} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.env = append([]string{"HOME=" + h.dir}, env...)
	return h
}

func (h *home) write(path, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) user(text string)    { h.write(filepath.Join(h.dir, ".config/outlast/outlast.yaml"), text) }
func (h *home) project(text string) { h.write(filepath.Join(h.proj, "outlast.yaml"), text) }

func (h *home) options() config.Options {
	return config.Options{Dir: h.proj, Projects: []string{"."}, Env: h.env}
}

func (h *home) load() (*config.Loaded, error) { return config.Load(h.options()) }

func (h *home) mustLoad() *config.Loaded {
	h.t.Helper()
	got, err := h.load()
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func sourceOf(t *testing.T, l *config.Loaded, key string) string {
	t.Helper()
	for _, v := range l.Values {
		if v.Key == key {
			return v.Source.String()
		}
	}
	t.Fatalf("%s is not among the values", key)
	return ""
}

func TestDefaults(t *testing.T) {
	h := newHome(t)
	got := h.mustLoad().Settings
	if want := filepath.Join(h.dir, ".cache/outlast"); got.Store.Path != want {
		t.Errorf("got store %s, want %s", got.Store.Path, want)
	}
	want := config.Fetch{Dial: 2 * time.Second, Header: 5 * time.Second, Idle: 10 * time.Second, Budget: 10 * time.Second}
	if diff := cmp.Diff(want, got.Fetch); diff != "" {
		t.Error(diff)
	}
	trusted := map[string]bool{}
	for host, r := range got.Registries {
		if !strings.HasPrefix(r.Origin, "https://") {
			t.Errorf("%s: origin %s", host, r.Origin)
		}
		for _, m := range r.Mirrors {
			if m.Tags {
				trusted[host+" "+m.URL] = true
			}
		}
	}
	// Whoever adds a row here adds somebody who may say what a tag is.
	if diff := cmp.Diff(map[string]bool{
		"docker.io https://mirror.gcr.io":                 true,
		"docker.io https://public.ecr.aws/docker/library": true,
	}, trusted); diff != "" {
		t.Error(diff)
	}
}

func TestSampleIsTaken(t *testing.T) {
	h := newHome(t)
	h.project(sample)
	got := h.mustLoad()
	if len(got.Warnings) > 0 {
		t.Errorf("got warnings %v, want none", got.Warnings)
	}
	want := config.Registry{
		Origin:  "https://registry-1.docker.io",
		Mirrors: []config.Mirror{{URL: "https://mirror.gcr.io", Tags: true}, {URL: "http://127.0.0.1:5002"}},
		Tokens:  []string{"auth.docker.io"},
	}
	if diff := cmp.Diff(want, got.Settings.Registry("docker.io")); diff != "" {
		t.Error(diff)
	}
	for key, want := range map[string]string{
		"registries.docker.io.origin":  "outlast.yaml:3",
		"registries.docker.io.mirrors": "outlast.yaml:5",
		"registries.docker.io.tokens":  "default",
		"store.size":                   "outlast.yaml:7",
		"fetch.idle":                   "outlast.yaml:8",
		"fetch.budget":                 "default",
	} {
		if got := sourceOf(t, got, key); got != want {
			t.Errorf("%s: got source %s, want %s", key, got, want)
		}
	}
}

func problems(err error) []string {
	var all *config.Error
	if !errors.As(err, &all) {
		return nil
	}
	return strings.Split(all.Error(), "\n")
}

func TestBadSettingsNameTheirPlace(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // a part of each problem, in order
	}{
		{"a key that is misspelt", "registries:\n  docker.io:\n    mirors: []\n",
			[]string{"outlast.yaml:3: registries.docker.io.mirors: unknown key; did you mean mirrors? allowed: origin, mirrors, insecure, tokens"}},
		{"a section that is misspelt", "stoer: {size: 1GiB}\n",
			[]string{"outlast.yaml:1: stoer: unknown key; did you mean store? allowed: registries, store, fetch, gateway, serve, packages, probe, build, thresholds, timeouts, cache"}},
		{"a key that is nothing like any", "fetch:\n  colour: red\n",
			[]string{"outlast.yaml:2: fetch.colour: unknown key; allowed: dial, header, idle, budget"}},
		{"a key of a mirror", "registries:\n  docker.io:\n    mirrors:\n      - {url: https://m.example.com, tag: true}\n",
			[]string{"outlast.yaml:4: registries.docker.io.mirrors[0].tag: unknown key; did you mean tags? allowed: url, only, tags, insecure"}},
		{"all problems at once", "fetch: {dial: soon}\n\nstore: {size: 20}\n",
			[]string{`outlast.yaml:3: store.size: "20" has no unit`, `outlast.yaml:1: fetch.dial: "soon" is no duration; allowed: a time with its unit`}},
		{"no time at all", "fetch: {idle: 0s}\n", []string{`outlast.yaml:1: fetch.idle: "0s" is not more than nothing`}},
		{"time backwards", "fetch: {idle: -2s}\n", []string{"is not more than nothing"}},
		{"time without end", "fetch: {idle: 25h}\n", []string{"longer than a day"}},
		{"a time without its unit", "fetch: {idle: 10}\n", []string{`"10" is no duration`}},
		{"a size that is negative", "store: {size: -1GiB}\n", []string{`"-1GiB" is no size`}},
		{"a size beyond counting", "store: {size: 99999999TiB}\n", []string{"too large"}},
		{"a size in hexadecimal", "store: {size: 0x10GiB}\n", []string{"is no size"}},
		{"a list where a value belongs", "store: {size: [1GiB]}\n", []string{"outlast.yaml:1: store.size: want one value, not a list; allowed: bytes with a unit"}},
		{"keys where a value belongs", "store:\n  size:\n    max: 1GiB\n", []string{"outlast.yaml:3: store.size: want one value, not keys below it"}},
		{"a value where keys belong", "store: 20GiB\n", []string{"outlast.yaml:1: store: want keys below it; allowed: path, size"}},
		{"a list for the whole file", "- store\n", []string{"outlast.yaml:1: want keys below it; allowed: registries, store, fetch, gateway, serve, packages, probe, build, thresholds, timeouts, cache"}},
		{"no value", "store:\n  size:\n", []string{"store.size: no value; allowed: bytes with a unit"}},
		{"a key twice", "fetch: {dial: 1s}\nstore: {size: 1GiB}\nfetch: {idle: 1s}\n", []string{"outlast.yaml:3: "}},
		{"a key twice, quoted once", "store:\n  size: 1GiB\n  \"size\": 2GiB\n", []string{"outlast.yaml:3: "}},
		{"a second document", "store: {size: 1GiB}\n---\nfetch: {dial: 1s}\n", []string{"outlast.yaml:3: a second document begins here"}},
		{"no YAML", "store: {size: 1GiB\nfetch: ]\n", []string{"outlast.yaml:"}},
		{"an anchor", "store: &s {size: 1GiB}\n", []string{"outlast.yaml:1: store: want keys below it"}},
		{"an alias", "fetch: {dial: &d 2s, idle: *d}\n", []string{"fetch.dial: want one value, not an anchor or an alias", "fetch.idle: want one value, not an anchor or an alias"}},
		{"a merge", "store:\n  <<: {size: 1GiB}\n", []string{"outlast.yaml:2: store: a key must be a plain word; allowed: path, size"}},
		{"a tag", "store: {size: !!str 1GiB}\n", []string{"store.size: want one value, not a tag"}},
		{"half a boolean", "registries: {docker.io: {insecure: yes}}\n", []string{`registries.docker.io.insecure: "yes" is neither true nor false; allowed: true or false`}},
		{"plain HTTP to elsewhere", "registries:\n  r.example.com:\n    origin: http://r.example.com\n",
			[]string{"outlast.yaml:3: registries.r.example.com.origin: http://r.example.com is plain HTTP and not this machine: use https://, or allow it by registries.r.example.com.insecure: true"}},
		{"a mirror over plain HTTP", "registries:\n  docker.io:\n    mirrors:\n      - url: http://192.0.2.7:5000\n",
			[]string{"outlast.yaml:4: registries.docker.io.mirrors[0].url: http://192.0.2.7:5000 is plain HTTP and not this machine: use https://, or allow it by insecure: true"}},
		{"a mirror that is a text, over plain HTTP", "registries: {docker.io: {mirrors: [http://m.example.com]}}\n", []string{"plain HTTP and not this machine"}},
		{"a name that looks like loopback", "registries: {docker.io: {mirrors: [http://127.0.0.1.example.com]}}\n", []string{"plain HTTP and not this machine"}},
		{"a mirror without an address", "registries: {docker.io: {mirrors: [{tags: true}]}}\n", []string{"mirrors[0]: a mirror needs its url"}},
		{"an address without a scheme", "registries: {docker.io: {mirrors: [m.example.com]}}\n", []string{`"m.example.com" is no address; allowed: https://HOST[:PORT][/PATH]`}},
		{"another scheme", "registries: {docker.io: {mirrors: [ftp://m.example.com]}}\n", []string{"ftp:// is no way to reach a registry"}},
		{"an address of the protocol", "registries: {docker.io: {mirrors: [https://m.example.com/v2/]}}\n", []string{"leave /v2 out"}},
		{"an address with a query", "registries: {docker.io: {mirrors: ['https://m.example.com/?a=b']}}\n", []string{"more than a host and a path"}},
		{"an address that climbs", "registries: {docker.io: {mirrors: [https://m.example.com/a/../b]}}\n", []string{"a path that no repository can have"}},
		{"an address with an escaped path", "registries: {docker.io: {mirrors: [https://m.example.com/%2e%2e]}}\n", []string{"a path that no repository can have"}},
		{"a port that cannot be", "registries: {docker.io: {mirrors: ['https://m.example.com:99999']}}\n", []string{"no host that can be"}},
		{"Docker Hub by another name", "registries: {index.docker.io: {mirrors: []}}\n", []string{"registries.index.docker.io: Docker Hub is docker.io here"}},
		{"a registry with a path", "registries: {docker.io/library: {mirrors: []}}\n", []string{"no host of a registry"}},
		{"only, without its slash", "registries: {docker.io: {mirrors: [{url: https://m.example.com, only: library}]}}\n", []string{"a path that ends with a slash, as in library/"}},
		{"mirrors as one text", "registries: {docker.io: {mirrors: https://m.example.com}}\n", []string{"mirrors: no list; allowed: a list of mirrors"}},
		{"a token host with a scheme", "registries: {docker.io: {tokens: [https://auth.example.com]}}\n", []string{`tokens[0]: "https://auth.example.com" is no host; allowed: HOST or HOST:PORT`}},
		{"an address to listen on without a port", "gateway: {listen: 127.0.0.1}\n", []string{`gateway.listen: "127.0.0.1" is no address; allowed: HOST:PORT`}},
		{"thresholds that cross", "thresholds:\n  optimal: 50\n", []string{"outlast.yaml:2: thresholds.optimal: crosses thresholds.resilient (default, 60): want optimal ≥ resilient ≥ conservative"}},
		{"thresholds that cross each other", "thresholds:\n  resilient: 30\n  conservative: 35\n", []string{"outlast.yaml:2: thresholds.resilient: crosses thresholds.conservative (outlast.yaml:3, 35)"}},
		{"a threshold beyond all", "thresholds: {optimal: 101}\n", []string{`outlast.yaml:1: thresholds.optimal: "101" is more than 100; allowed: a whole number from 0 to 100`}},
		{"a threshold below all", "thresholds: {conservative: -1}\n", []string{`"-1" is less than 0`}},
		{"half a threshold", "thresholds: {optimal: 80.5}\n", []string{`"80.5" is no whole number`}},
		{"a strategy that there is not", "build:\n  strategy: brave\n", []string{`outlast.yaml:2: build.strategy: "brave" is no strategy; allowed: auto, optimal`}},
		{"no attempt", "build: {attempts: 0}\n", []string{`build.attempts: "0" is less than 1`}},
		{"a budget below nothing", "build: {wait: -1s}\n", []string{`build.wait: "-1s" is not more than nothing`}},
		{"a timeout of nothing", "timeouts: {emergency: 0}\n", []string{`timeouts.emergency: "0s" is not more than nothing`}},
		{"a cache that is no image", "cache: {registry: 'https://r.example.com/app'}\n", []string{`cache.registry: "https://r.example.com/app" is no image`}},
		{"another user's home", "store: {path: ~root/x}\n", []string{"names another user's home"}},
		{"a file that is large", "# " + strings.Repeat("x", 65<<10), []string{"outlast.yaml: is larger than 64KiB"}},
		{"brackets without end", "store: " + strings.Repeat("[", 1000), []string{"nested more than 32 deep"}},
		{"dashes without end", strings.Repeat("- ", 1000), []string{"nested more than 32 deep"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			h.project(tt.text)
			_, err := h.load()
			got := problems(err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d problems %q, want %d", len(got), got, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q in it", got[i], want)
				}
			}
		})
	}
}

func TestPasswordsAreNotRepeated(t *testing.T) {
	for _, address := range []string{"https://me:hunter2@m.example.com", "https://me:hunter2@m.example.com:bad port", "http://me:hunter2@127.0.0.1"} {
		h := newHome(t)
		h.project("registries: {docker.io: {origin: '" + address + "'}}\n")
		_, err := h.load()
		if err == nil || !strings.Contains(err.Error(), "docker login") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the password", address, err)
		}
	}
}

func TestGoodSettings(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       func(*config.Settings)
	}{
		{"an empty file", "", func(*config.Settings) {}},
		{"nothing but a comment", "# later\n", func(*config.Settings) {}},
		{"nothing but a document's start", "---\n", func(*config.Settings) {}},
		{"sections without anything", "registries:\nstore:\nfetch: {}\n", func(*config.Settings) {}},
		{"a mirror by its address alone", "registries: {quay.io: {mirrors: [https://m.example.com/]}}", func(s *config.Settings) {
			s.Registries["quay.io"] = config.Registry{Origin: "https://quay.io", Mirrors: []config.Mirror{{URL: "https://m.example.com"}}}
		}},
		{"no mirrors", "registries: {quay.io: {mirrors: []}}", func(s *config.Settings) {
			s.Registries["quay.io"] = config.Registry{Origin: "https://quay.io", Mirrors: []config.Mirror{}}
		}},
		{"a registry of one's own", "registries:\n  R.example.com:5000:\n    mirrors: [{url: https://M.example.com/r, only: a/b/}]", func(s *config.Settings) {
			s.Registries["r.example.com:5000"] = config.Registry{Origin: "https://r.example.com:5000",
				Mirrors: []config.Mirror{{URL: "https://m.example.com/r", Only: "a/b/"}}}
		}},
		{"a registry on this machine", "registries: {'localhost:5000': {mirrors: []}}", func(s *config.Settings) {
			s.Registries["localhost:5000"] = config.Registry{Origin: "http://localhost:5000", Mirrors: []config.Mirror{}}
		}},
		{"plain HTTP to this machine", "registries: {quay.io: {origin: 'http://[::1]:5000', mirrors: ['http://127.9.9.9:1', 'http://localhost']}}", func(s *config.Settings) {
			s.Registries["quay.io"] = config.Registry{Origin: "http://[::1]:5000",
				Mirrors: []config.Mirror{{URL: "http://127.9.9.9:1"}, {URL: "http://localhost"}}}
		}},
		{"sizes in every unit", "store: {size: 1.5 gib}", func(s *config.Settings) { s.Store.Size = 3 << 29 }},
		{"no limit", "store: {size: 0}", func(s *config.Settings) { s.Store.Size = 0 }},
		{"a quoted value", "fetch: {dial: \"250ms\"}", func(s *config.Settings) { s.Fetch.Dial = 250 * time.Millisecond }},
		{"CRLF", "fetch:\r\n  dial: 3s\r\n", func(s *config.Settings) { s.Fetch.Dial = 3 * time.Second }},
		{"a byte order mark", "\ufefffetch:\n  dial: 3s\n", func(s *config.Settings) { s.Fetch.Dial = 3 * time.Second }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			want := h.mustLoad().Settings
			tt.want(&want)
			h.user(tt.text)
			if diff := cmp.Diff(want, h.mustLoad().Settings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourcesInOrder(t *testing.T) {
	h := newHome(t)
	steps := []struct {
		name string
		add  func(*config.Options)
		want string
		from string
	}{
		{"default", func(*config.Options) {}, "2s", "default"},
		{"the user's file", func(*config.Options) { h.user("fetch:\n  dial: 3s\n") }, "3s", "~/.config/outlast/outlast.yaml:2"},
		{"the project's file", func(*config.Options) { h.project("fetch: {dial: 4s}\n") }, "4s", "outlast.yaml:1"},
		{"the environment", func(o *config.Options) { o.Env = append(o.Env, "OUTLAST_FETCH_DIAL=5s") }, "5s", "OUTLAST_FETCH_DIAL"},
		{"a flag", func(o *config.Options) {
			o.Flags = append(o.Flags, config.Flag{Name: "--set", Key: "fetch.dial", Value: "6s"})
		}, "6s", "--set"},
		{"the last of two flags", func(o *config.Options) {
			o.Flags = append(o.Flags, config.Flag{Name: "--dial", Key: "fetch.dial", Value: "7s"})
		}, "7s", "--dial"},
	}
	o := h.options()
	for _, s := range steps {
		s.add(&o)
		got, err := config.Load(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range got.Values {
			if v.Key == "fetch.dial" && (v.Value != s.want || v.Source.String() != s.from) {
				t.Errorf("%s: got %v from %s, want %s from %s", s.name, v.Value, v.Source, s.want, s.from)
			}
		}
	}
}

func TestNamedFileStandsAlone(t *testing.T) {
	h := newHome(t)
	h.user("fetch: {dial: 3s}\n")
	h.project("fetch: {header: 3s}\n")
	h.write(filepath.Join(h.proj, "ci", "x.yaml"), "fetch: {idle: 3s}\nstore: {path: cache, size: 1GiB}\ngateway: {public: true}\n")
	want := func(o config.Options) {
		t.Helper()
		got, err := config.Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if f := got.Settings.Fetch; f.Dial != 2*time.Second || f.Header != 5*time.Second || f.Idle != 3*time.Second {
			t.Errorf("got %+v, want only idle from the file", f)
		}
		// It is named by the user: all of it counts, and paths start at it.
		if s := got.Settings; s.Store.Path != filepath.Join(h.proj, "ci", "cache") || s.Store.Size != 1<<30 || !s.Gateway.Public {
			t.Errorf("got %+v %+v", s.Store, s.Gateway)
		}
		if diff := cmp.Diff([]string{"ci/x.yaml"}, got.Files); diff != "" {
			t.Error(diff)
		}
	}
	o := h.options()
	o.File = "ci/x.yaml"
	want(o)
	o.File, o.Env = "", append(o.Env, "OUTLAST_CONFIG=ci/x.yaml")
	want(o)

	o.File = "missing.yaml"
	if _, err := config.Load(o); err == nil || err.Error() != "missing.yaml: no such file" {
		t.Errorf("got %v, want that the file is missing", err)
	}
	o.File = "."
	if _, err := config.Load(o); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("got %v, want that it is a folder", err)
	}
}

func TestProjectFolders(t *testing.T) {
	h := newHome(t)
	h.write(filepath.Join(h.proj, "deploy", "outlast.yaml"), "fetch: {dial: 3s}\n")
	h.project("fetch: {dial: 4s, idle: 4s}\n")
	o := h.options()
	o.Projects = []string{"deploy", "."}
	got, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Settings.Fetch; f.Dial != 3*time.Second || f.Idle != 10*time.Second {
		t.Errorf("got %+v, want the file beside the Dockerfile, and that one alone", f)
	}
	o.Projects = []string{"elsewhere", "."}
	if got, err = config.Load(o); err != nil || got.Settings.Fetch.Dial != 4*time.Second {
		t.Errorf("got %+v, %v, want the file of the context", got, err)
	}
}

func TestRegistriesMergeByField(t *testing.T) {
	h := newHome(t, "OUTLAST_REGISTRIES={quay.io: {mirrors: [https://env.example.com]}}")
	h.user("registries:\n  quay.io:\n    origin: https://origin.example.com\n  ghcr.io: {mirrors: [https://user.example.com]}\n")
	o := h.options()
	o.Flags = []config.Flag{
		{Name: "--set", Key: "registries.ghcr.io.mirrors", Value: "[]"},
		{Name: "--set", Key: "registries.r.example.com", Value: "{tokens: [auth.example.com]}"},
	}
	got, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]config.Registry{
		"quay.io":       {Origin: "https://origin.example.com", Mirrors: []config.Mirror{{URL: "https://env.example.com"}}},
		"ghcr.io":       {Origin: "https://ghcr.io", Mirrors: []config.Mirror{}},
		"r.example.com": {Origin: "https://r.example.com", Tokens: []string{"auth.example.com"}},
	} {
		if diff := cmp.Diff(want, got.Settings.Registries[host]); diff != "" {
			t.Errorf("%s: %s", host, diff)
		}
	}
	for key, want := range map[string]string{
		"registries.quay.io.origin":       "~/.config/outlast/outlast.yaml:3",
		"registries.quay.io.mirrors":      "OUTLAST_REGISTRIES",
		"registries.ghcr.io.mirrors":      "--set",
		"registries.r.example.com.origin": "default",
		"registries.r.example.com.tokens": "--set",
	} {
		if from := sourceOf(t, got, key); from != want {
			t.Errorf("%s: got %s, want %s", key, from, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	h := newHome(t, "OUTLAST_STORE_SZIE=1GiB", "OUTLAST_FETCH_DIAL=", "OUTLAST_OWN=1", "OUTLAST_STORE_PATH=~/x", "NOT_OUTLAST_=1")
	o := h.options()
	o.Others = []string{"OUTLAST_OWN"}
	got, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 1 || got.Warnings[0].Error() != "OUTLAST_STORE_SZIE: unknown setting; did you mean OUTLAST_STORE_SIZE?" {
		t.Errorf("got %v, want one warning of a variable that is unknown", got.Warnings)
	}
	if got.Settings.Fetch.Dial != 2*time.Second {
		t.Error("an empty variable counted")
	}
	if got.Settings.Store.Path != filepath.Join(h.dir, "x") {
		t.Errorf("got %s, want ~ to be the home folder", got.Settings.Store.Path)
	}
	for env, want := range map[string]string{
		"OUTLAST_STORE_SIZE=big":                          `OUTLAST_STORE_SIZE: store.size: "big" is no size; allowed: bytes with a unit`,
		"OUTLAST_REGISTRIES={docker.io: {mirors: []}}":    "OUTLAST_REGISTRIES: registries.docker.io.mirors: unknown key",
		"OUTLAST_REGISTRIES=[":                            "OUTLAST_REGISTRIES: registries: ",
		"OUTLAST_CONFIG=~nobody/x":                        "another user's home",
		"OUTLAST_REGISTRIES=" + strings.Repeat(" ", 66e3): "larger than 64KiB",
	} {
		h := newHome(t, env)
		if _, err := h.load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %q in it", env, err, want)
		}
	}
}

func TestVariablesOfBuildScripts(t *testing.T) {
	h := newHome(t)
	h.project("thresholds: {optimal: 85}\ntimeouts: {resilient: 1h}\n")
	h.env = append(h.env, "CACHE_STRATEGY=local-only", "MAX_RETRY_ATTEMPTS=5", "THRESHOLD_OPTIMAL=90", "THRESHOLD_RESILIENT=70%", "THRESHOLD_CONSERVATIVE=50",
		"BUILD_TIMEOUT_OPTIMAL=2400", "BUILD_TIMEOUT_RESILIENT=25m", "BUILD_TIMEOUT_CONSERVATIVE=1200", "BUILD_TIMEOUT_EMERGENCY=90s",
		"CACHE_LOCAL_PATH=cache", "CACHE_REGISTRY_REF=r.example.com/app:cache", "OUTLAST_THRESHOLDS_RESILIENT=75")
	l := h.mustLoad()
	got := l.Settings
	if got.Build.Strategy != "conservative" || got.Build.Attempts != 5 {
		t.Errorf("got %+v", got.Build)
	}
	if diff := cmp.Diff(config.Thresholds{Optimal: 90, Resilient: 75, Conservative: 50}, got.Thresholds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(config.Timeouts{Optimal: 40 * time.Minute, Resilient: 25 * time.Minute, Conservative: 20 * time.Minute, Emergency: 90 * time.Second}, got.Timeouts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(config.Cache{Local: filepath.Join(h.proj, "cache"), Registry: "r.example.com/app:cache", Write: true, Send: 2 * time.Minute, Actions: true}, got.Cache); diff != "" {
		t.Error(diff)
	}
	if s := sourceOf(t, l, "thresholds.optimal"); s != "THRESHOLD_OPTIMAL" {
		t.Errorf("got %s, want the variable named", s)
	}
	for word, want := range map[string]string{"gha-full": "optimal", "local-with-fallback": "resilient", "local-only": "conservative", "no-cache": "emergency", "auto": "auto", "": "auto"} {
		h.env = []string{"HOME=" + h.dir, "CACHE_STRATEGY=" + word}
		if got := h.mustLoad().Settings.Build.Strategy; got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
	h.env = []string{"HOME=" + h.dir, "CACHE_STRATEGY=all", "THRESHOLD_OPTIMAL=10", "MAX_RETRY_ATTEMPTS=many"}
	_, err := h.load()
	for i, want := range []string{
		`CACHE_STRATEGY: build.strategy: "all" is not known; allowed: auto, gha-full, local-only, local-with-fallback, no-cache`,
		`MAX_RETRY_ATTEMPTS: build.attempts: "many" is no whole number`,
		`THRESHOLD_OPTIMAL: thresholds.optimal: crosses thresholds.resilient`,
	} {
		if got := problems(err); len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFoldersOfTheDesktop(t *testing.T) {
	h := newHome(t)
	other := t.TempDir()
	h.write(filepath.Join(other, "outlast", "outlast.yaml"), "fetch: {dial: 3s}\n")
	h.user("fetch: {dial: 4s}\n")
	h.env = append(h.env, "XDG_CONFIG_HOME="+other, "XDG_CACHE_HOME="+other)
	got := h.mustLoad().Settings
	if got.Fetch.Dial != 3*time.Second || got.Store.Path != filepath.Join(other, "outlast") {
		t.Errorf("got %v and %s, want both from %s", got.Fetch.Dial, got.Store.Path, other)
	}
	// The XDG specification tells to ignore what is relative.
	h.env = append(h.env, "XDG_CONFIG_HOME=rel", "XDG_CACHE_HOME=rel")
	got = h.mustLoad().Settings
	if got.Fetch.Dial != 4*time.Second || got.Store.Path != filepath.Join(h.dir, ".cache", "outlast") {
		t.Errorf("got %v and %s, want both from the home folder", got.Fetch.Dial, got.Store.Path)
	}
	h.env = nil
	if got = h.mustLoad().Settings; got.Store.Path != "" {
		t.Errorf("got %q without any home, want no folder", got.Store.Path)
	}
}

// What a project's file says is taken as far as its Dockerfile could do the
// same anyway.
func TestProjectFilesAreNotTrusted(t *testing.T) {
	for _, tt := range []struct {
		name, user, project string
		warn                string // empty: all is taken
		check               func(h *home, s config.Settings) bool
	}{
		{"an origin, mirrors and whom to believe", "", "registries: {docker.io: {origin: https://o.example.com, mirrors: [{url: https://m.example.com, tags: true}]}}", "",
			func(h *home, s config.Settings) bool {
				r := s.Registries["docker.io"]
				return r.Origin == "https://o.example.com" && r.Mirrors[0].Tags && !r.Anonymous
			}},
		{"plain HTTP, without credentials", "", "registries: {r.example.com: {origin: http://r.example.com, insecure: true, mirrors: [{url: http://m.example.com, insecure: true}]}}", "",
			func(h *home, s config.Settings) bool {
				r := s.Registries["r.example.com"]
				return r.Anonymous && r.Mirrors[0].Anonymous
			}},
		{"a plain origin of the user's", "registries: {r.example.com: {origin: http://r.example.com, insecure: true}}", "fetch: {dial: 1s}", "",
			func(h *home, s config.Settings) bool { return !s.Registries["r.example.com"].Anonymous }},
		{"a plain origin that uses the user's leave for another", "registries: {r.example.com: {origin: http://r.example.com, insecure: true}}",
			"registries: {r.example.com: {origin: http://evil.example.com}}", "",
			func(h *home, s config.Settings) bool { return s.Registries["r.example.com"].Anonymous }},
		{"hosts that get credentials", "", "registries: {docker.io: {tokens: [evil.example.com]}}", "outlast.yaml:1: registries.docker.io.tokens: not taken: only your own settings",
			func(h *home, s config.Settings) bool { return len(s.Registries["docker.io"].Tokens) == 1 }},
		{"an open gateway", "", "gateway: {listen: '0.0.0.0:80', public: true}", "gateway.listen: not taken: a project's file may only name an address of this machine: 127.0.0.1\noutlast.yaml:1: gateway.public: not taken: only your own",
			func(h *home, s config.Settings) bool {
				return s.Gateway == config.Gateway{Listen: "127.0.0.1:5100"}
			}},
		{"a gateway on every address", "", "gateway: {listen: ':80'}", "gateway.listen: not taken",
			func(h *home, s config.Settings) bool { return s.Gateway.Listen == "127.0.0.1:5100" }},
		{"another port of this machine", "", "gateway: {listen: 'localhost:5101'}", "",
			func(h *home, s config.Settings) bool { return s.Gateway.Listen == "localhost:5101" }},
		{"the history", "", "history: {keep: false, path: .outlast, age: 1d, size: 1MB}", "history.keep: not taken: only your own settings",
			func(h *home, s config.Settings) bool {
				return s.History == config.History{Keep: true, Path: filepath.Join(h.dir, ".local/state/outlast"), Age: 365 * 24 * time.Hour, Size: 1 << 30}
			}},
		{"a store elsewhere", "", "store: {path: /var/lib/other, size: 1B}", "store.path: not taken: a project's file keeps its store inside the project",
			func(h *home, s config.Settings) bool {
				return s.Store.Path == filepath.Join(h.dir, ".cache/outlast") && s.Store.Size == 20<<30
			}},
		{"a store next door", "", "store: {path: ../other}", "store.path: not taken",
			func(h *home, s config.Settings) bool { return s.Store.Path == filepath.Join(h.dir, ".cache/outlast") }},
		{"a store inside, with its size", "", "store: {size: 1GiB, path: .outlast}", "",
			func(h *home, s config.Settings) bool {
				return s.Store == config.Store{Path: filepath.Join(h.proj, ".outlast"), Size: 1 << 30}
			}},
		{"a cache elsewhere", "", "cache: {local: /tmp/cache}", "cache.local: not taken: a project's file keeps its cache inside the project",
			func(h *home, s config.Settings) bool { return s.Cache.Local == "" }},
		{"a cache inside", "", "cache: {local: .cache}", "",
			func(h *home, s config.Settings) bool { return s.Cache.Local == filepath.Join(h.proj, ".cache") }},
		{"a registry's cache", "", "cache: {registry: r.example.com/app:cache}", "",
			func(h *home, s config.Settings) bool {
				return s.Cache.Registry == "r.example.com/app:cache" && !s.Cache.Write
			}},
		{"a registry's cache, to be written", "", "cache: {registry: r.example.com/app:cache, write: true}", "cache.write: not taken: a project's file does not decide what is written with your login",
			func(h *home, s config.Settings) bool { return !s.Cache.Write }},
		{"a registry's cache that the user lets be written", "cache: {write: true}", "cache: {registry: r.example.com/app:cache}", "",
			func(h *home, s config.Settings) bool { return s.Cache.Write }},
		{"the user's registry cache", "cache: {registry: r.example.com/app:cache}", "cache: {local: .cache}", "",
			func(h *home, s config.Settings) bool { return s.Cache.Write && s.Cache.Send == 2*time.Minute }},
		{"the size of a store that all share", "", "store: {size: 1MiB}", "store.size: not taken: a project's file limits only a store inside the project",
			func(h *home, s config.Settings) bool { return s.Store.Size == 20<<30 }},
		{"the size of the user's store by naming the default path", "store: {size: 50GiB}", "store: {path: ~/.cache/outlast, size: 1MiB}", "store.size: not taken",
			func(h *home, s config.Settings) bool { return s.Store.Size == 50<<30 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			h.user(tt.user)
			h.project(tt.project)
			got := h.mustLoad()
			var warnings []string
			for _, w := range got.Warnings {
				warnings = append(warnings, w.Error())
			}
			if all := strings.Join(warnings, "\n"); !strings.Contains(all, tt.warn) || tt.warn == "" && all != "" {
				t.Errorf("got warnings %q, want %q", all, tt.warn)
			}
			if !tt.check(h, got.Settings) {
				t.Errorf("got %+v", got.Settings)
			}
		})
	}
}

func TestProjectSizeDoesNotReachAnotherStore(t *testing.T) {
	h := newHome(t, "OUTLAST_STORE_PATH=/srv/shared")
	h.project("store: {path: .outlast, size: 1MiB}\n")
	got := h.mustLoad()
	if s := got.Settings.Store; s.Path != "/srv/shared" || s.Size != 20<<30 {
		t.Errorf("got %+v, want the shared store untouched", s)
	}
}

func TestLinksOutOfTheProject(t *testing.T) {
	h := newHome(t)
	secret := filepath.Join(h.dir, ".docker", "config.json")
	h.write(secret, `{"auths": {"r.example.com": {"auth": "c2VjcmV0"}}}`)
	if err := os.Symlink(secret, filepath.Join(h.proj, "outlast.yaml")); err != nil {
		t.Fatal(err)
	}
	got := h.mustLoad()
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0].Error(), "not read: it is a link that leads out") {
		t.Errorf("got %v, want a warning", got.Warnings)
	}

	// A store inside the project, by name alone.
	h = newHome(t)
	if err := os.Symlink(h.dir, filepath.Join(h.proj, "cache")); err != nil {
		t.Fatal(err)
	}
	h.project("store: {path: cache/x}\n")
	if got := h.mustLoad(); len(got.Warnings) != 1 {
		t.Errorf("got %+v and no warning", got.Settings.Store)
	}
}

func TestPipeIsNotWaitedFor(t *testing.T) {
	h := newHome(t)
	if err := syscall.Mkfifo(filepath.Join(h.proj, "outlast.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.load(); err == nil || err.Error() != "outlast.yaml: is no regular file" {
		t.Errorf("got %v", err)
	}
}

func TestRegistryOfAnyHost(t *testing.T) {
	s := newHome(t).mustLoad().Settings
	for host, want := range map[string]string{
		"docker.io":            "https://registry-1.docker.io",
		"index.docker.io":      "https://registry-1.docker.io",
		"registry-1.docker.io": "https://registry-1.docker.io",
		"GHCR.io":              "https://ghcr.io",
		"r.example.com:5000":   "https://r.example.com:5000",
		"localhost:5000":       "http://localhost:5000",
		"127.0.0.1:5000":       "http://127.0.0.1:5000",
		"[::1]:5000":           "http://[::1]:5000",
	} {
		if got := s.Registry(host).Origin; got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestYAMLReadsBack(t *testing.T) {
	h := newHome(t, "OUTLAST_STORE_PATH=/a b/#c: d", "OUTLAST_GATEWAY_LISTEN=[::1]:0", "OUTLAST_STORE_SIZE=1500B",
		"OUTLAST_REGISTRIES={'localhost:5000': {mirrors: [], insecure: true, tokens: []}, r.example.com: {origin: 'http://[2001:db8::1]:80/x', insecure: true, mirrors: [{url: 'https://m.example.com:1/a', only: b/, insecure: true}]}}")
	want := h.mustLoad()
	h.env = h.env[:1]
	h.write(filepath.Join(h.proj, "again.yaml"), want.YAML())
	o := h.options()
	o.File = "again.yaml"
	got, err := config.Load(o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, want.YAML())
	}
	if diff := cmp.Diff(want.Settings, got.Settings); diff != "" {
		t.Error(diff)
	}
}
