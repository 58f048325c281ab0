//go:build linux

package buildx_test

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/engine"
)

// terminal makes a terminal and returns its two ends.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs a terminal:", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs a terminal:", err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

func TestStandardInputFromATerminal(t *testing.T) {
	t.Run("a build that does not read it does not wait for it", func(t *testing.T) {
		_, screen := terminal(t)
		f := newFake(t, "docker")
		f.on("docker build", "", "", 0)
		begun := time.Now()
		if _, _, err := build(t, f, engine.Request{Args: []string{"."}, Stdin: screen}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 1900*time.Millisecond { // a reader that stays is given up after 2 s
			t.Errorf("it took %s", took)
		}
	})
	t.Run("a build that reads it gets what is typed", func(t *testing.T) {
		keyboard, screen := terminal(t)
		f := newFake(t, "docker")
		f.on("docker build", "", "", 0)
		if _, err := io.WriteString(keyboard, "FROM scratch\n\x04"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := build(t, f, engine.Request{Args: []string{"-"}, Stdin: screen}); err != nil {
			t.Fatal(err)
		}
		if got := f.built(t).Stdin; got != "FROM scratch\n" {
			t.Errorf("got %q", got)
		}
	})
}
