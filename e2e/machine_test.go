package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A machine is a build context with programs of this machine, each file where
// it is here: Debian's image, of the same release, has what they share with
// all programs. That takes a second, where installing them takes a minute.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine { return machine{t, t.TempDir()} }

// add copies a file or a folder, but for what left says is of no use.
func (m machine) add(path, left string) {
	m.t.Helper()
	args := []string{"-C", "/", "-c"}
	for one := range strings.FieldsSeq(left) {
		args = append(args, "--exclude="+one)
	}
	pack := exec.Command("tar", append(args, strings.TrimPrefix(path, "/"))...)
	unpack := exec.Command("tar", "-x", "-C", m.dir)
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err == nil {
		err = unpack.Start()
	}
	if err == nil {
		err = pack.Run()
	}
	if err == nil {
		err = unpack.Wait()
	}
	if err != nil {
		m.t.Fatalf("copy %s: %v", path, err)
	}
}

// common are libraries of every Debian: those of libc alone must be the image's.
var common = regexp.MustCompile(`/(ld-linux|lib(c|m|dl|rt|pthread|util|resolv))[.-]`)

// libraries adds the shared libraries of programs and modules.
func (m machine) libraries(of ...string) {
	m.t.Helper()
	out, err := exec.Command("ldd", of...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("ldd: %v\n%s", err, out)
	}
	for _, found := range regexp.MustCompile(`(?m)=> (/\S+) `).FindAllStringSubmatch(string(out), -1) {
		if common.MatchString(found[1]) {
			continue
		}
		to := filepath.Join(m.dir, "opt/lib", filepath.Base(found[1]))
		data, err := os.ReadFile(found[1])
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o755)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// command makes path a command of the image.
func (m machine) command(name, path string) {
	m.t.Helper()
	to := filepath.Join(m.dir, "usr/local/bin", name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(path, to); err != nil {
		m.t.Fatal(err)
	}
}

// withNPM adds node and npm.
func (m machine) withNPM() {
	m.t.Helper()
	node, npm := real(m.t, "node"), real(m.t, "npm")
	// Debian has npm's own packages in one folder with those of all others.
	folder := strings.TrimSuffix(npm, "/bin/npm-cli.js")
	if strings.HasPrefix(folder, "/usr/share/nodejs/") {
		folder = "/usr/share/nodejs"
	}
	m.add(node, "")
	m.libraries(node)
	m.add(folder, "docs man")
	m.command("node", node)
	m.command("npm", npm)
}

// withPip adds Python and pip.
func (m machine) withPip() {
	m.t.Helper()
	python := testenv.Tool(m.t, "python3")
	out, err := exec.Command(python, "-c", `import os, pip, sys, sysconfig
print(os.path.realpath(sys.executable), sysconfig.get_path("stdlib"), os.path.dirname(pip.__file__))`).Output()
	where := strings.Fields(string(out))
	if err != nil || len(where) != 3 {
		testenv.Need(m.t, &testenv.Missing{What: "pip", How: "apt-get install python3-pip"})
	}
	m.add(where[0], "")
	m.add(where[1], "test tests idlelib ensurepip site-packages dist-packages config-* *.a EXTERNALLY-MANAGED")
	m.add(where[2], "")
	modules, err := filepath.Glob(filepath.Join(where[1], "lib-dynload", "*.so"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.libraries(append(modules, where[0])...)
	m.command("python3", where[0])
	pip := "#!/bin/sh\nexec python3 -m pip \"$@\"\n"
	if err := os.WriteFile(filepath.Join(m.dir, "usr/local/bin/pip"), []byte(pip), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func real(t *testing.T, tool string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(testenv.Tool(t, tool))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
