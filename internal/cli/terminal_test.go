package cli_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containerd/console"

	"github.com/outlast-build/outlast/internal/cli"
)

// onTerminal runs a command line whose standard error is a terminal, and
// returns what it showed.
func onTerminal(t *testing.T, parts cli.Parts, env []string, args ...string) string {
	t.Helper()
	pty, path, err := console.NewPty()
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer pty.Close()
	if err := pty.Resize(console.WinSize{Height: 24, Width: 100}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&shown, pty)
	}()
	cli.Run(t.Context(), parts, args, nil, io.Discard, slave, append([]string{"HOME=" + t.TempDir()}, env...))
	slave.Close()
	<-read
	return strings.ReplaceAll(shown.String(), "\r\n", "\n")
}

func TestColoursAreForTerminals(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"a terminal", []string{"TERM=xterm"}, "outlast: \x1b[31merror\x1b[0m: unknown command"},
		{"a user who wants none", []string{"TERM=xterm", "NO_COLOR=1"}, "outlast: error: unknown command"},
		{"NO_COLOR that is empty counts for nothing", []string{"TERM=xterm", "NO_COLOR="}, "\x1b[31m"},
		{"a terminal that has none", []string{"TERM=dumb"}, "outlast: error: unknown command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := onTerminal(t, cli.Parts{}, tt.env, "bild"); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := run(t, cli.Parts{}, "bild"); strings.Contains(got.stderr, "\x1b") {
		t.Errorf("got %q, want no colours in a file", got.stderr)
	}
}

func TestDisplayOnATerminal(t *testing.T) {
	got := onTerminal(t, story(""), []string{"TERM=xterm"}, "build", ".")
	for _, part := range []string{"[+] Building", "remote:box", "=> [outlast] mirror.gcr.io does not answer", "=> [1/2] FROM docker.io/library/alpine:3", "FromAsCasing", "served by registry-1.docker.io"} {
		if !strings.Contains(got, part) {
			t.Errorf("got %q, want there %q", got, part)
		}
	}
	if got := onTerminal(t, story(""), nil, "build", "--progress=tty", "."); !strings.Contains(got, "[+] Building") {
		t.Errorf("got %q", got)
	}
}

// Who starts it without a log is told, and does not sit before a program that
// waits for them.
func TestDiagnoseDoesNotReadATerminal(t *testing.T) {
	pty, path, err := console.NewPty()
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer pty.Close()
	slave, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	for _, args := range [][]string{{"diagnose"}, {"diagnose", "-"}, {"diagnose", "--batch", "-"}} {
		var stderr bytes.Buffer
		code := cli.Run(t.Context(), cli.Parts{}, args, slave, io.Discard, &stderr, nil)
		if code != cli.ExitUsage || !strings.Contains(stderr.String(), "outlast: hint: ") {
			t.Errorf("%q: got code %d and %q, want a usage error with a hint", args, code, &stderr)
		}
	}
}

func TestDiagnoseColoursATerminalAlone(t *testing.T) {
	pty, path, err := console.NewPty()
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer pty.Close()
	slave, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	for _, tt := range []struct {
		env  []string
		want bool
	}{{nil, true}, {[]string{"NO_COLOR=1"}, false}} {
		cli.Run(t.Context(), cli.Parts{}, []string{"diagnose"}, strings.NewReader("npm error code E404\n"), slave, io.Discard, tt.env)
		buf := make([]byte, 4096)
		n, err := pty.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(buf[:n], []byte("\x1b[")); got != tt.want {
			t.Errorf("%v: got colours %t, want %t: %q", tt.env, got, tt.want, buf[:n])
		}
	}
}
