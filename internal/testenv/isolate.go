package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// isolated marks, in the environment, a process that Isolate has started anew.
const isolated = "TESTENV_ISOLATED"

// Isolate gives this process a network of its own, with nothing but loopback
// in it, and a mount namespace of its own. It must be called first in TestMain
// or main: it starts the program anew, under the same process id, and returns
// only there. The network, and all the bridges and firewall rules
// that daemons have made in it, end with the last process in it.
//
// Where this process may not do that, for it is not root, nothing happens.
func Isolate() error { return isolate(false) }

// IsolateWithOutside is Isolate for a program that asks the package registries
// that this machine is configured for, by Outside.
func IsolateWithOutside() error { return isolate(true) }

func isolate(outside bool) error {
	if socket := os.Getenv(relayServes); socket != "" {
		return serveRelay(socket)
	}
	if CheckRoot() != nil {
		return nil
	}
	if IsIsolated() {
		return up("lo")
	}
	// Namespaces are a thread's; what that thread executes takes them over.
	runtime.LockOSThread()
	if outside {
		if err := startRelay(); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	net, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	return unix.Exec(exe, os.Args, append(os.Environ(), isolated+"="+net))
}

// CloseOutside removes what IsolateWithOutside has put on the disk. Nothing is
// asked by Outside after it.
func CloseOutside() {
	if socket := os.Getenv(relaySocket); socket != "" {
		os.RemoveAll(filepath.Dir(socket))
	}
}

// IsIsolated reports whether this process runs in a network that Isolate made.
func IsIsolated() bool {
	net, err := os.Readlink("/proc/self/ns/net")
	return err == nil && net == os.Getenv(isolated)
}

// up brings a network interface up.
func up(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

// Main runs the tests of a package in a network of their own: the whole body
// of its TestMain.
func Main(m *testing.M) { run(m, false) }

// MainWithOutside is Main for a package whose tests ask the package registries
// that this machine is configured for, by Outside.
func MainWithOutside(m *testing.M) { run(m, true) }

func run(m *testing.M, outside bool) {
	if err := isolate(outside); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		os.Exit(1)
	}
	code := m.Run()
	CloseOutside()
	os.Exit(code)
}
