package outlast_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/outlast-build/outlast"

// bands are the layers, highest first. A package imports from its own band
// only where it stands in the same family (engine, engine/buildx), and from
// every band below.
var bands = []struct {
	name     string
	pure     bool
	packages []string
}{
	{"shell", false, []string{"cmd/outlast", "internal/cli", "internal/daemon"}},
	{"services", false, []string{".", "gateway", "gateway/oci", "gateway/gomod", "gateway/deb", "gateway/apk", "gateway/npm",
		"gateway/pypi", "gateway/web", "gateway/git", "gateway/forward", "gateway/ecotest", "actcache", "internal/web", "report", "drill"}},
	{"mechanisms", false, []string{"engine", "engine/buildx", "engine/enginetest", "fetch", "cas", "history", "probe",
		"buildcache", "faultnet", "internal/live"}},
	{"decisions", true, []string{"record", "stats", "advise", "plan", "diagnose", "health", "dockerfile", "backoff"}},
	{"words", true, []string{"fault", "redact"}},
}

// leaves are inner parts that stand beside the bands: they import nothing of
// the bands but words, and the packages named may import them.
var leaves = map[string][]string{
	"internal/config": {"shell", "services"},
	"internal/httpx":  {"shell", "services"},
}

// outside are commands and tests that no band imports: they may import all.
var outside = []string{"internal/testenv", "internal/demo", "internal/outages", "internal/bench", "internal/demo", "internal/outages", "internal/bench", "e2e", "examples", "scripts", "tools", "diagnose/accuracy"}

// peers are the imports within a band that the design draws: a build has a
// gateway, the daemon wires, the command line runs the daemon.
var peers = map[string][]string{
	".":               {"gateway", "gateway/oci", "gateway/gomod", "gateway/deb", "gateway/apk", "gateway/npm", "gateway/pypi", "gateway/web", "gateway/git", "gateway/forward", "report", "actcache"},
	"cmd/outlast":     {"internal/cli"},
	"internal/cli":    {"internal/daemon"},
	"internal/daemon": {},
	"report":          {},
	"gateway/ecotest": {"gateway"},
	"plan":            {"health", "dockerfile", "diagnose"},
	"engine/buildx":   {"engine"},
	"probe":           {"fetch"},
	"internal/web":    {"report"},
	"drill":           {"."},
	"record":          {"plan", "diagnose", "health"},
	"stats":           {"record"},
	"advise":          {"stats", "record"},
}

// impure are the ways in which a pure package could reach the world: the clock,
// the network, the disk, chance, a logger.
var impure = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"net":          {"Dial", "DialTimeout", "Listen", "ListenPacket", "LookupHost", "LookupIP", "LookupAddr", "ResolveTCPAddr"},
	"net/http":     {"Get", "Post", "Head", "PostForm", "NewRequest", "NewRequestWithContext", "ListenAndServe", "DefaultClient", "DefaultTransport", "Client", "Transport", "Server"},
	"os":           {"*"},
	"os/exec":      {"*"},
	"syscall":      {"Open", "Read", "Write", "Exec", "Kill", "Socket", "Connect"},
	"math/rand":    {"*"},
	"math/rand/v2": {"*"},
	"crypto/rand":  {"*"},
	"log":          {"*"},
	"log/slog":     {"*"},
}

func TestLayers(t *testing.T) {
	for dir, files := range packages(t) {
		if slices.ContainsFunc(outside, func(p string) bool { return dir == p || strings.HasPrefix(dir, p+"/") }) {
			continue
		}
		level, known := bandOf(dir)
		_, leaf := leaves[dir]
		if !known && !leaf {
			t.Errorf("%s stands in no band: add it to the table, where the design says", dir)
			continue
		}
		for _, f := range files {
			if strings.HasSuffix(f.name, "_test.go") {
				continue
			}
			for _, path := range f.imports() {
				target, ok := strings.CutPrefix(path, module)
				if !ok {
					continue
				}
				target = strings.TrimPrefix(target, "/")
				if target == "" {
					target = "."
				}
				if why := forbidden(dir, level, leaf, target); why != "" {
					t.Errorf("%s imports %s: %s", f.name, target, why)
				}
			}
		}
	}
}

func forbidden(dir string, level int, leaf bool, target string) string {
	if users, ok := leaves[target]; ok {
		if leaf || !slices.Contains(users, bands[level].name) {
			return "only " + strings.Join(users, " and ") + " may use it"
		}
		return ""
	}
	below, known := bandOf(target)
	switch {
	case !known:
		return "it is not for the product"
	case leaf:
		if bands[below].name != "words" {
			return "a leaf stands on words alone"
		}
	case below < level:
		return "imports point down only"
	case below == level && !related(dir, target) && !slices.Contains(peers[dir], target):
		return "packages of one band do not know each other, but for the peers in the table"
	}
	return ""
}

// related reports whether child belongs to the family of parent.
func related(child, parent string) bool { return strings.HasPrefix(child, parent+"/") }

func bandOf(dir string) (int, bool) {
	for i, b := range bands {
		if slices.Contains(b.packages, dir) {
			return i, true
		}
	}
	return 0, false
}

func TestPureBands(t *testing.T) {
	all := packages(t)
	for _, b := range bands {
		if !b.pure {
			continue
		}
		for _, dir := range b.packages {
			for _, f := range all[dir] {
				if !strings.HasSuffix(f.name, "_test.go") {
					f.checkPure(t)
				}
			}
		}
	}
}

func (f file) checkPure(t *testing.T) {
	names := make(map[string]string)
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if _, ok := impure[path]; !ok {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if name == "v2" {
			name = "rand"
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
		if slices.Contains(impure[path], "*") {
			t.Errorf("%s imports %s: this band is pure", f.name, path)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && slices.Contains(impure[names[x.Name]], sel.Sel.Name) {
			t.Errorf("%s uses %s.%s: this band is pure", f.name, x.Name, sel.Sel.Name)
		}
		return true
	})
}

func TestOnePackageComment(t *testing.T) {
	for dir, files := range packages(t) {
		var with []string
		for _, f := range files {
			if f.ast.Doc != nil && !strings.HasSuffix(f.name, "_test.go") {
				with = append(with, f.name)
			}
		}
		onlyTests := !slices.ContainsFunc(files, func(f file) bool { return !strings.HasSuffix(f.name, "_test.go") })
		if len(with) != 1 && !onlyTests {
			t.Errorf("%s has %d package comments %v, want one", dir, len(with), with)
		}
	}
}

type file struct {
	name string
	ast  *ast.File
}

func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// packages parses every Go file of the module, by folder.
func packages(t *testing.T) map[string][]file {
	t.Helper()
	set := token.NewFileSet()
	all := make(map[string][]file)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" ||
			path == "tools" || path == "examples" || path == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		all[dir] = append(all[dir], file{path, parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 4 {
		t.Fatalf("found %d packages: the test does not see the module", len(all))
	}
	return all
}
