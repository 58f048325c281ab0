package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A Machine is a folder with programs of this machine, each file where it is
// here, to be copied into Debian's image: that is of the same release, and has
// what they share with all programs. It takes a second, where installing them
// takes a minute.
type Machine struct{ Dir string }

// add copies a file or a folder, but for what left says is of no use.
func (m Machine) add(path, left string) error {
	args := []string{"-C", "/", "-c"}
	for one := range strings.FieldsSeq(left) {
		args = append(args, "--exclude="+one)
	}
	pack := exec.Command("tar", append(args, strings.TrimPrefix(path, "/"))...)
	unpack := exec.Command("tar", "-x", "-C", m.Dir)
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err == nil {
		err = unpack.Start()
	}
	if err == nil {
		err = errors.Join(pack.Run(), unpack.Wait())
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	return nil
}

// common are libraries of every Debian: those of libc alone must be the image's.
var common = regexp.MustCompile(`/(ld-linux|lib(c|m|dl|rt|pthread|util|resolv))[.-]`)

// libraries adds the shared libraries of programs and modules.
func (m Machine) libraries(of ...string) error {
	out, err := exec.Command("ldd", of...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ldd: %w\n%s", err, out)
	}
	for _, found := range regexp.MustCompile(`(?m)=> (/\S+) `).FindAllStringSubmatch(string(out), -1) {
		if common.MatchString(found[1]) {
			continue
		}
		data, err := os.ReadFile(found[1])
		if err == nil {
			err = m.write(filepath.Join("opt/lib", filepath.Base(found[1])), data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m Machine) write(name string, data []byte) error {
	to := filepath.Join(m.Dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// command makes path a command of the image.
func (m Machine) command(name, path string) error {
	to := filepath.Join(m.Dir, "usr/local/bin", name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Symlink(path, to)
}

// AddNPM adds node and npm, whose libraries are in /opt/lib. Where this machine
// lacks them, the error is a *Missing.
func (m Machine) AddNPM() error {
	node, err := realTool("node")
	if err != nil {
		return err
	}
	npm, err := realTool("npm")
	if err != nil {
		return err
	}
	// Debian has npm's own packages in one folder with those of all others.
	folder := strings.TrimSuffix(npm, "/bin/npm-cli.js")
	if strings.HasPrefix(folder, "/usr/share/nodejs/") {
		folder = "/usr/share/nodejs"
	}
	return first(
		func() error { return m.add(node, "") },
		func() error { return m.libraries(node) },
		func() error { return m.add(folder, "docs man") },
		func() error { return m.command("node", node) },
		func() error { return m.command("npm", npm) },
	)
}

// AddPip adds Python and pip, whose libraries are in /opt/lib. Where this
// machine lacks them, the error is a *Missing.
func (m Machine) AddPip() error {
	python, err := LookTool("python3")
	if err != nil {
		return err
	}
	out, err := exec.Command(python, "-c", `import os, pip, sys, sysconfig
print(os.path.realpath(sys.executable), sysconfig.get_path("stdlib"), os.path.dirname(pip.__file__))`).Output()
	where := strings.Fields(string(out))
	if err != nil || len(where) != 3 {
		return &Missing{What: "pip", How: "apt-get install python3-pip"}
	}
	modules, err := filepath.Glob(filepath.Join(where[1], "lib-dynload", "*.so"))
	return first(
		func() error { return err },
		func() error { return m.add(where[0], "") },
		func() error {
			return m.add(where[1], "test tests idlelib ensurepip site-packages dist-packages config-* *.a EXTERNALLY-MANAGED")
		},
		func() error { return m.add(where[2], "") },
		func() error { return m.libraries(append(modules, where[0])...) },
		func() error { return m.command("python3", where[0]) },
		func() error { return m.write("usr/local/bin/pip", []byte("#!/bin/sh\nexec python3 -m pip \"$@\"\n")) },
	)
}

// first does one after the other up to the first error, and returns it.
func first(steps ...func() error) error {
	for _, do := range steps {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func realTool(name string) (string, error) {
	path, err := LookTool(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
