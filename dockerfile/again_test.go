package dockerfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/internal/testenv"
)

// program writes a program for the shell.
func program(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// The programs of a hardened file, in the shells that images have. A fake go
// fails as often as told; sleep and timeout tell how they are called.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command string
		env     []string
		fails   string // how many times
		code    string // its exit code then
		want    int
		log     []string // of go, timeout and sleep
	}{
		{"works at once", "again go mod download", nil, "0", "1", 0,
			[]string{"timeout 7", "go mod download: https://proxy.example.com,https://two.example.com|https://a.example.com|https://b.example.com|direct"}},
		{"each attempt has more time and another first proxy", "again go mod download", nil, "2", "9", 0, []string{
			"timeout 7", "go mod download: https://proxy.example.com,https://two.example.com|https://a.example.com|https://b.example.com|direct", "sleep",
			"timeout 14", "go mod download: https://a.example.com|https://b.example.com|https://proxy.example.com,https://two.example.com|direct", "sleep",
			"timeout 21", "go mod download: https://b.example.com|https://proxy.example.com,https://two.example.com|https://a.example.com|direct"}},
		{"gives up with its exit code", "again go get x", []string{"GOPROXY=off"}, "9", "42", 42, []string{
			"timeout 7", "go get x: off", "sleep", "timeout 14", "go get x: off", "sleep", "timeout 21", "go get x: off"}},
		{"a list that ends is somebody's will", "again go get x", []string{"GOPROXY=https://own.example.com"}, "0", "1", 0,
			[]string{"timeout 7", "go get x: https://own.example.com"}},
		{"direct alone is somebody's will", "again go get x", []string{"GOPROXY=direct"}, "0", "1", 0, []string{"timeout 7", "go get x: direct"}},
		{"what is no program is not tried again", "again go get x", []string{"GOPROXY=off"}, "9", "126", 126, []string{"timeout 7", "go get x: off"}},
		{"once, and without a limit", "once go build a  b", []string{"GOPROXY=off"}, "1", "3", 3, []string{"go build a  b: off"}},
	} {
		for _, shell := range []string{"dash", "busybox sh", "bash --posix"} {
			t.Run(tt.name+" in "+shell, func(t *testing.T) {
				dir := testenv.TempDir(t)
				words := strings.Fields(shell)
				interpreter := testenv.Tool(t, words[0]) + " " + strings.Join(words[1:], " ")
				for _, name := range []string{"again", "once"} {
					text, err := os.ReadFile("persist/" + name)
					if err != nil {
						t.Fatal(err)
					}
					// This machine's memory is not a step's, and nobody waits for a test.
					sandboxed := strings.NewReplacer("#!/bin/sh", "#!"+strings.TrimSpace(interpreter), "/dev/shm", dir, "wait=1000", "wait=2")
					program(t, filepath.Join(dir, name), sandboxed.Replace(string(text)))
				}
				program(t, filepath.Join(dir, "settings"), "attempts='3' limit='7'\ngo_proxies='https://a.example.com https://b.example.com'\napt_mirrors=''\napk_mirrors=''\n")
				program(t, filepath.Join(dir, "go"), `#!/bin/sh
if [ "$1" = env ]; then echo "${GOPROXY:-https://proxy.example.com,https://two.example.com,direct}"; exit; fi
echo "go $*: $GOPROXY" >>"$LOG"
echo x >>"$LOG.count"
[ "$(wc -l <"$LOG.count")" -gt "$FAILS" ] || exit "$CODE"
`)
				program(t, filepath.Join(dir, "sleep"), "#!/bin/sh\necho sleep >>\"$LOG\"\n")
				program(t, filepath.Join(dir, "timeout"), "#!/bin/sh\n[ \"$2\" = true ] || echo \"timeout $1\" >>\"$LOG\"\nshift\nexec \"$@\"\n")
				// busybox prefers its own sleep and timeout.
				want := tt.log
				if words[0] == "busybox" {
					want = quiet(want)
				}
				log := filepath.Join(dir, "log")
				cmd := exec.CommandContext(t.Context(), "sh", "-c", `cd / && exec "$0/"`+strings.ReplaceAll(tt.command, "a  b", "'a  b'"), dir)
				cmd.Env = append([]string{"PATH=" + dir + ":/usr/bin:/bin", "LOG=" + log, "FAILS=" + tt.fails, "CODE=" + tt.code}, tt.env...)
				out, err := cmd.CombinedOutput()
				code := 0
				if exit := new(exec.ExitError); errors.As(err, &exit) {
					code = exit.ExitCode()
				}
				if code != tt.want {
					t.Errorf("got exit code %d, want %d\n%s", code, tt.want, out)
				}
				told, err := os.ReadFile(log)
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				got := strings.Split(strings.TrimSuffix(string(told), "\n"), "\n")
				if words[0] == "busybox" {
					got = quiet(got)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("want -, got +:\n%s%s", d, out)
				}
			})
		}
	}
}

// quiet leaves out what busybox may do by itself.
func quiet(log []string) []string {
	var all []string
	for _, l := range log {
		if l != "sleep" && !strings.HasPrefix(l, "timeout ") {
			all = append(all, l)
		}
	}
	return all
}
